"""Two providers with TLS, and what leads an example to them instead of to the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.conftest import DASHSCOPE, MOONSHOT, Providers
from tests.examples.running import Example
from tests.processes import Program

Serve = Callable[..., tuple[Program, int]]

_KEY = "..."  # as the READMEs write it


@pytest.fixture(scope="session")
def kept_providers(ca: CertificateAuthority, ca_file: str) -> Iterator[Providers]:
    with (
        FakeUpstream(host_names=DASHSCOPE, ca=ca, api_key=_KEY) as dashscope,
        FakeUpstream(host_names=MOONSHOT, ca=ca, api_key=_KEY) as moonshot,
    ):
        yield Providers(dashscope, moonshot, ca_file)


@pytest.fixture
def providers(kept_providers: Providers) -> Providers:
    """Both, with nothing seen yet."""
    kept_providers.dashscope.clear()
    kept_providers.moonshot.clear()
    return kept_providers


@pytest.fixture
def leading(providers: Providers) -> Mapping[str, str]:
    """The variables of an example's process; its keys come from its README."""
    endpoints = providers.dashscope.endpoints | providers.moonshot.endpoints
    return {"LLM_MESH_ENDPOINTS": json.dumps(endpoints), "LLM_MESH_CA_FILE": providers.ca_file}


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(example) -> (program, port)`, until the test ends."""
    with ExitStack() as stack:

        def start(example: Example) -> tuple[Program, int]:
            program, port = example.serve()
            stack.enter_context(program)
            stack.callback(_end, program)
            return program, port

        yield start


def _end(program: Program) -> None:
    """In good order, so that workers end with their supervisor."""
    program.terminate()
    program.wait(10)
