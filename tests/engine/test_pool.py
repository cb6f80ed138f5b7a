"""Idle connections: which one serves the next call, and when they are closed."""

from __future__ import annotations

import asyncio
import time

import pytest

from llm_mesh_middleware._engine.http import async_pooled_client
from llm_mesh_middleware._engine.http import pool as pools
from llm_mesh_middleware._engine.http.pool import Pool
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.testing import FakeUpstream
from tests.engine.calls import call, request_to


class Connection:
    def __init__(self, *, stale: bool = False) -> None:
        self.is_closed = False
        self._stale = stale

    def is_stale(self) -> bool:
        return self._stale

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def short_life(monkeypatch: pytest.MonkeyPatch) -> float:
    for module in (pools, async_pooled_client):
        monkeypatch.setattr(module, "KEEPALIVE_S", 0.02)
    return 0.02


def test_the_one_that_was_used_last_is_used_next() -> None:
    pool: Pool[Connection] = Pool()
    older, newer = Connection(), Connection()
    pool.give_back(older)
    pool.give_back(newer)

    assert [pool.take(), pool.take(), pool.take()] == [newer, older, None]
    assert not older.is_closed


def test_one_that_something_has_happened_to_is_closed_instead() -> None:
    pool: Pool[Connection] = Pool()
    good, stale = Connection(), Connection(stale=True)
    pool.give_back(good)
    pool.give_back(stale)

    assert pool.take() is good
    assert stale.is_closed


def test_one_that_is_too_old_is_closed(short_life: float) -> None:
    pool: Pool[Connection] = Pool()
    old, older, oldest, new = (Connection() for _ in range(4))
    for each in (oldest, older, old):
        pool.give_back(each)
    time.sleep(1.5 * short_life)

    pool.give_back(new)
    assert (oldest.is_closed, older.is_closed) == (True, False)  # one at a time
    pool.drop_old()
    assert (older.is_closed, old.is_closed, new.is_closed) == (True, True, False)
    time.sleep(1.5 * short_life)
    assert pool.take() is None
    assert new.is_closed


def test_a_closed_pool_keeps_nothing() -> None:
    pool: Pool[Connection] = Pool()
    idle, used = Connection(), Connection()
    pool.give_back(idle)
    pool.close()
    pool.give_back(used)

    assert idle.is_closed
    assert used.is_closed
    assert pool.take() is None


async def test_idle_connections_do_not_stay_open(
    contexts: TLSContexts, upstream: FakeUpstream, short_life: float
) -> None:
    client = async_pooled_client.AsyncPooledClient(contexts, trust_env=False)
    await call(client, request_to(upstream))

    assert await asyncio.to_thread(upstream.wait_closed)
    await client.aclose()
