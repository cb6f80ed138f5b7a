"""Each framework's application on uvicorn, with the mesh put before it as the documents say."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider, LLMRoute, Mesh
from tests.adapters.meshes import kept_providers, providers
from tests.adapters.wire import Client
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, Providers, running
from tests.frameworks.applications import APPLICATIONS, Login

__all__ = ["kept_providers", "providers"]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "frameworks.md"
HEADING = "| framework | the one line |"

PROVIDER = LLMProvider.model_validate(
    {
        "metadata": {"name": "qwen"},
        "spec": {
            "host": DASHSCOPE,
            "path": "/compatible-mode/v1/chat/completions",
            "configs": {
                "defaultConfig": {"openAIConfig": {"model": "m-free", "apiKey": DASHSCOPE_KEY}}
            },
        },
    }
)
ROUTE = LLMRoute.model_validate(
    {
        "metadata": {"name": "chat"},
        "spec": {
            "host": "chat",
            "rules": [
                {
                    "name": "pro",
                    "matches": [{"attributes": {"plan": {"exact": "pro"}}}],
                    "backendRefs": [{"providerHost": DASHSCOPE, "model": "m-pro"}],
                },
                {"name": "free", "backendRefs": [{"providerHost": DASHSCOPE}]},
            ],
        },
    }
)


def lines_of_the_page() -> Mapping[str, str]:
    """What the page's table tells the users of each framework to write."""
    _, _, table = PAGE.read_text("utf-8").partition(HEADING)
    rows = re.findall(r"^\| (\w[^|]*?) \| `([^`]+)`", table.partition("\n\n")[0], re.MULTILINE)
    return {name: line for names, line in rows for name in names.split(", ")}


def with_mesh(framework: str, mesh: Mesh) -> Any:
    """The framework's application after the page's line has been run on it."""
    namespace: dict[str, Any] = {
        "app": APPLICATIONS[framework](),
        "LLMMeshMiddleware": functools.partial(LLMMeshMiddleware, mesh=mesh, attributes=facts),
    }
    exec(lines_of_the_page()[framework], namespace)  # noqa: S102  what a reader would do
    return namespace["app"]


def facts(scope: Any) -> Mapping[str, str]:
    """What whoever stands before the mesh has left in `request.state`."""
    return {"plan": scope["state"]["plan"]}


@pytest.fixture(scope="module", params=APPLICATIONS)
def port(request: pytest.FixtureRequest, kept_providers: Providers) -> Iterator[int]:
    """Where the application of each framework in turn answers."""
    mesh = Mesh([PROVIDER, ROUTE], settings=kept_providers.settings())
    with running(Login(with_mesh(request.param, mesh)), "uvicorn-httptools") as port:
        yield port


@pytest.fixture
def client(port: int, providers: Providers) -> Iterator[Client]:
    """A connection to it, while the providers have seen nothing yet."""
    with Client(port) as client:
        yield client
