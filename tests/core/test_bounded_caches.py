"""What the mesh remembers of text that clients and providers choose is bounded in bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.http.peers import is_private_peer
from llm_mesh_middleware._core.http.response_headers import client_headers, field_value
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._telemetry.spans.server import _port
from llm_mesh_middleware.wsgi.environ import read_headers
from tests.core.tables import provider, table
from tests.rows import rows

ROUTES = table(provider())
MIB = 2**20
TIMES = 20


def _forward(text: str) -> None:
    ForwardPolicy().select(Headers([(f"openai-{text}".encode(), b"x")]))


def _pass_on(text: str) -> None:
    client_headers(Headers([(f"x-ratelimit-{text}".encode(), b"x")]))


def _read_connection(text: str) -> None:
    Headers([(b"connection", text.encode())]).connection_options()


CACHES = [
    pytest.param(lambda text: ROUTES.find(text.encode()), id="Host values"),
    pytest.param(field_value, id="model names in reply headers"),
    pytest.param(is_private_peer, id="peer addresses"),
    pytest.param(_forward, id="names of request headers"),
    pytest.param(_pass_on, id="names of response headers"),
    pytest.param(_read_connection, id="Connection options"),
    pytest.param(lambda text: read_headers({f"HTTP_{text}": ""}), id="names in environs"),
    pytest.param(lambda text: _port(text.encode()), id="ports"),
]


@rows("look_up", CACHES)
def test_long_texts_of_a_client_are_not_kept(look_up: Callable[[str], object]) -> None:
    tracemalloc.start()
    try:
        for number in range(TIMES):
            look_up(f"{number}" + "x" * MIB)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MIB


@rows("look_up", CACHES)
def test_many_texts_of_a_client_are_kept_within_a_bound(
    look_up: Callable[[str], object],
) -> None:
    tracemalloc.start()
    try:
        for number in range(3_000):
            look_up(f"{number}" + "x" * 50)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MIB
