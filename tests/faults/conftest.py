"""The fixtures of tests through both middlewares on real servers."""

from __future__ import annotations

import pytest

from tests.adapters.meshes import connect, kept_providers, kept_servers, mesh_on, patient, providers
from tests.conftest import SERVERS, WSGI_SERVERS
from tests.faults.upstream_failures import ask

__all__ = [
    "ASGI",
    "ask",
    "connect",
    "kept_providers",
    "kept_servers",
    "mesh_on",
    "patient",
    "providers",
]

# For what depends on the server: kept connections, chunks, 100 Continue (WSGI's: `tests/wsgi`).
ASGI = pytest.mark.parametrize("server", SERVERS)


@pytest.fixture(params=(*SERVERS, *WSGI_SERVERS))
def server(request: pytest.FixtureRequest) -> str:
    """The name of each server in turn."""
    return str(request.param)


@pytest.fixture(params=("uvicorn-httptools", *WSGI_SERVERS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of one server of each kind, for what no server has a part in."""
    return str(request.param)
