"""Connections to a real server, of event loops that end without closing them."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from llm_mesh_middleware._core.caching.entry import Lookup
from llm_mesh_middleware._engine.ports.loop_connections import LoopConnections
from llm_mesh_middleware._engine.ports.redis_store import RedisCache, RedisStore
from llm_mesh_middleware.stores import BucketClaim, Reserve
from tests.policies.servers import Server
from tests.waiting import until

HOUR = 3_600_000_000
ONE = Reserve((BucketClaim("{b}:t", HOUR // 100, HOUR),))
NONE = Reserve((BucketClaim("{b}:t", 0, HOUR),))


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    store = RedisStore(server.url, timeout_s=5)
    yield store
    store.close()


def ids(server: Server) -> set[str]:
    return {each["id"] for each in server.client.client_list()}


@pytest.fixture
def opened(server: Server) -> Callable[[], int]:
    """`opened()`: how many connections there are that were not there before the test."""
    before = ids(server)
    return lambda: len(ids(server) - before)


@contextmanager
def loop_that_is_only_closed() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop whose program neither closes what it has opened nor ends its generators."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


async def ask(store: RedisStore) -> None:
    assert (await store.aask(ONE, None)).is_granted


@pytest.mark.parametrize("count", [1, 5])
def test_a_loop_that_ends_closes_its_connection(
    opened: Callable[[], int], store: RedisStore, count: int
) -> None:
    """As those of `asgiref` do, which are one for each call."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(count):
            asyncio.run(ask(store))
            gc.collect()  # what was not closed would say so
    until(lambda: opened() == 0)
    assert not store._pipelines.made
    assert not store.is_away


def test_a_call_that_is_under_way_as_its_loop_ends_leaves_nothing(
    opened: Callable[[], int], store: RedisStore
) -> None:
    async def begin() -> None:
        await ask(store)
        for _ in range(10):
            task = asyncio.create_task(store.aask(ONE, None))
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(begin())
    assert not store._pipelines.made
    asyncio.run(ask(store))
    store.close()  # as the outbox may have opened one, to return what was reserved
    until(lambda: opened() == 0)


@pytest.fixture
def garbage_stays() -> Iterator[None]:
    """Nothing is closed by its collection, of which Python warns, until the test is over."""
    gc.collect()
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
    gc.enable()


@pytest.mark.usefixtures("garbage_stays")
def test_a_loop_that_was_closed_without_an_end_is_abandoned_by_the_next(
    opened: Callable[[], int], store: RedisStore
) -> None:
    for _ in range(3):
        with loop_that_is_only_closed() as loop:
            loop.run_until_complete(ask(store))
        assert list(store._pipelines.made) == [loop]
    until(lambda: opened() == 1)
    store.close()
    until(lambda: opened() == 0)
    assert not store._pipelines.made


def test_a_loop_that_goes_on_keeps_its_connection(
    opened: Callable[[], int], store: RedisStore
) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    async def stay() -> None:
        await ask(store)
        has_begun.set()
        await asyncio.to_thread(may_end.wait, 10)
        assert opened() == 1
        await ask(store)
        assert opened() == 1

    other = threading.Thread(target=asyncio.run, args=(stay(),))
    other.start()
    assert has_begun.wait(10)
    for _ in range(3):
        asyncio.run(ask(store))
    until(lambda: opened() == 1)
    assert len(store._pipelines.made) == 1
    may_end.set()
    other.join(10)
    until(lambda: opened() == 0)


async def test_a_loop_may_go_on_after_it_was_closed(
    opened: Callable[[], int], store: RedisStore
) -> None:
    for _ in range(2):
        await ask(store)
        assert opened() == 1
        await store.aclose()
    assert opened() == 0
    await ask(store)
    await asyncio.get_running_loop().shutdown_asyncgens()  # ends what the loop knows
    until(lambda: opened() == 0)
    await ask(store)
    await store.aclose()


def test_a_cache_closes_its_connections_too(server: Server, opened: Callable[[], int]) -> None:
    cache = RedisCache(server.url, timeout_s=5)
    for _ in range(3):
        asyncio.run(_find(cache))
    until(lambda: opened() == 0)
    assert not cache._clients.made
    cache.close()


async def _find(cache: RedisCache) -> None:
    assert await cache.aask(Lookup("k"), None) is None


class Thing:
    """Something that an event loop opens."""

    def __init__(self) -> None:
        self.closed_in: list[asyncio.AbstractEventLoop] = []

    async def aclose(self) -> None:
        self.closed_in.append(asyncio.get_running_loop())
        await asyncio.sleep(0)


async def _put(things: LoopConnections[Thing], thing: Thing) -> asyncio.AbstractEventLoop:
    loop = asyncio.get_running_loop()
    assert things.put(loop, thing) is things.made[loop] is thing
    return loop


def test_a_thing_is_closed_once_in_its_own_loop() -> None:
    things: LoopConnections[Thing] = LoopConnections()
    first, second = Thing(), Thing()
    loops = [asyncio.run(_put(things, thing)) for thing in (first, second)]
    assert (first.closed_in, second.closed_in) == ([loops[0]], [loops[1]])
    assert not things.made


def test_the_thing_of_a_loop_that_was_only_closed_is_abandoned_once() -> None:
    abandoned: list[Thing] = []
    things, thing = LoopConnections(abandoned.append), Thing()
    with loop_that_is_only_closed() as loop:
        loop.run_until_complete(_put(things, thing))
        things.abandon()
        assert not abandoned  # it may go on
    for _ in range(2):
        things.abandon()
    assert abandoned == [thing]
    assert not thing.closed_in


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_closes_nothing_of_its_parent() -> None:
    things, thing = LoopConnections(_never), Thing()

    async def fork() -> int:
        await _put(things, thing)
        return os.fork()

    with loop_that_is_only_closed() as loop:
        child = loop.run_until_complete(fork())
        if child == 0:
            loop.run_until_complete(loop.shutdown_asyncgens())
            gc.collect()
            os._exit(0 if not things.made and not thing.closed_in else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert things.made
        loop.run_until_complete(loop.shutdown_asyncgens())
    assert thing.closed_in == [loop]


def _never(thing: Thing) -> None:
    raise AssertionError
