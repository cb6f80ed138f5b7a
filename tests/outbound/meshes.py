"""A mesh without manifests or sockets: one provider, rules by attribute."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from tests.canaries import canary

QUESTION = {"messages": [{"role": "user", "content": "Good morning to you"}]}
KEY = canary("outbound")
URL = "http://llm/v1/chat/completions"

_PROVIDER = LLMProvider.model_validate(
    {
        "metadata": {"name": "main"},
        "spec": {
            "host": "main.example",
            "configs": {"defaultConfig": {"openAIConfig": {"model": "m-1", "apiKey": KEY}}},
        },
    }
)


def make_mesh(
    *rules: Mapping[str, Any],
    observer: Callable[[Any], Any] | None = None,
    calls: list[httpx.Request] | None = None,
    **settings: Any,
) -> Mesh:
    """A mesh on a `MockTransport`; a rule is a name and the attributes it asks for.

    The provider's calls are added to `calls`.
    """
    seen: list[httpx.Request] = [] if calls is None else calls
    refs = [{"providerHost": "main.example"}]
    spec = {"host": "llm", "rules": [{**rule, "backendRefs": refs} for rule in rules or ({},)]}
    route = LLMRoute.model_validate({"metadata": {"name": "chat"}, "spec": spec})
    return Mesh(
        [_PROVIDER, route],
        settings=MeshSettings(**settings),
        transport=httpx.MockTransport(lambda request: seen.append(request) or echo(request)),
        observer=observer,
    )


def echo(request: httpx.Request) -> httpx.Response:
    """An answer that repeats what came: path, fields and body."""
    seen = {
        "url": str(request.url),
        "headers": dict(request.headers),
        "body": json.loads(request.content or b"{}"),
    }
    return httpx.Response(200, json={"choices": [], "seen": seen})


def by_attribute(**facts: str) -> dict[str, Any]:
    """A rule that takes calls with these attributes, named after their values."""
    tests = {name: {"exact": value} for name, value in facts.items()}
    return {"name": "-".join(facts.values()), "matches": [{"attributes": tests}]}
