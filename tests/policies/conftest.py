"""One server for the tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from tests.policies.servers import Server, server_program


@pytest.fixture(scope="session")
def program() -> str:
    found = server_program()
    if found is None:
        pytest.skip("there is no redis-server or valkey-server here")
    return found


@pytest.fixture(scope="module")
def shared_server(program: str) -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """A server with nothing in it."""
    shared_server.client.flushall()
    shared_server.client.script_flush()
    return shared_server


@pytest.fixture
def open_store() -> Iterator[Callable[..., RedisStore]]:
    """`open_store(server)`; it is closed at the end."""
    with ExitStack() as stack:

        def make(server: Server, **options: object) -> RedisStore:
            store = RedisStore(server.url, **options)  # type: ignore[arg-type]
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def own_server(program: str) -> Iterator[Server]:
    """A server that a test may stop."""
    server = Server()
    yield server
    server.stop()
