"""Flows that go on without their client because others wait for what they bring."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from llm_mesh_middleware._core.caching.flights import Flight
from llm_mesh_middleware._core.flow.reply import Flow, Reply
from llm_mesh_middleware._core.values.steps import Ask, Body, Outlive
from llm_mesh_middleware._engine.drivers.async_driver import adrive
from llm_mesh_middleware._engine.drivers.driver import drive
from llm_mesh_middleware._engine.tasks.background import AsyncBackground, Background
from llm_mesh_middleware._engine.tasks.cancel_scope import CancelScope
from llm_mesh_middleware.exceptions import ClientDisconnected, ServerShutdown

WAIT_S = 10


class Gates:
    """A port that answers when it is opened, and says when it is asked."""

    def __init__(self) -> None:
        self.is_asked, self.is_open = threading.Event(), threading.Event()

    def ask(self, request: object, until: float | None) -> object:
        self.is_asked.set()
        assert self.is_open.wait(WAIT_S)
        return request

    async def aask(self, request: object, until: float | None) -> object:
        self.is_asked.set()
        while not self.is_open.is_set():
            await asyncio.sleep(0.001)
        return request


class Story:
    """A flow for two: what its body has yielded, and how it ended."""

    def __init__(self, *, waiting: int = 1) -> None:
        self.flight = Flight(threading.RLock())
        self.gates = Gates()
        self.end: object = None
        self.has_ended = threading.Event()
        for _ in range(waiting):
            assert self.flight.join()

    def flow(self, *, first: bool = False) -> Flow:
        yield Outlive(self.flight)
        try:
            if first:
                yield Ask(self.gates, "first")
        except BaseException as error:
            self._ended(error)
            raise
        return Reply(200, [], self._body())

    def _body(self) -> Body:
        try:
            yield b"one"
            yield Ask(self.gates, "second")
            yield b"two"
            self._ended("whole")
        except BaseException as error:
            self._ended(error)
            raise

    def _ended(self, end: object) -> None:
        self.end = self.end or end
        self.has_ended.set()

    async def wait_ended(self) -> object:
        for _ in range(WAIT_S * 1000):
            if self.has_ended.is_set():
                return self.end
            await asyncio.sleep(0.001)
        raise AssertionError("it goes on")


def never() -> Exception:
    raise AssertionError("nobody was cancelled")


def left() -> Exception:
    return ClientDisconnected("gone")


async def arun(flow: Flow, background: AsyncBackground, why: Any = never) -> Any:
    return await adrive(flow, None, background, why)  # type: ignore[arg-type]


@pytest.mark.parametrize("reads", [0, 1])
async def test_a_stream_goes_on_to_its_end_without_its_client(reads: int) -> None:
    story = Story()
    delivery = await arun(story.flow(), AsyncBackground())
    for _ in range(reads):
        await delivery.read()
    await delivery.aclose()
    story.gates.is_open.set()

    assert await story.wait_ended() == "whole"


async def test_a_step_under_way_goes_on_when_the_client_leaves() -> None:
    story = Story()
    delivery = await arun(story.flow(), AsyncBackground())
    await delivery.read()
    reading = asyncio.create_task(delivery.read())
    while not story.gates.is_asked.is_set():
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await delivery.aclose()
    story.gates.is_open.set()

    assert await story.wait_ended() == "whole"


async def test_a_flow_goes_on_before_there_is_a_reply() -> None:
    story = Story()
    running = asyncio.create_task(arun(story.flow(first=True), AsyncBackground(), left))
    while not story.gates.is_asked.is_set():
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    story.gates.is_open.set()

    assert await story.wait_ended() == "whole"


async def test_it_ends_at_once_if_nobody_waits() -> None:
    story = Story(waiting=0)
    delivery = await arun(story.flow(), AsyncBackground())
    await delivery.read()
    await delivery.aclose()

    assert isinstance(story.end, ClientDisconnected)


async def test_it_ends_with_the_server() -> None:
    story = Story()
    delivery = await arun(story.flow(), AsyncBackground())
    await delivery.read()
    await delivery.aclose(ServerShutdown())

    assert isinstance(story.end, ServerShutdown)


@pytest.mark.parametrize("waiting", [1, 3])
async def test_it_ends_when_the_last_who_waits_leaves(waiting: int) -> None:
    story = Story(waiting=waiting)
    delivery = await arun(story.flow(), AsyncBackground())
    await delivery.read()
    await delivery.aclose()
    for _ in range(waiting):
        assert not story.has_ended.is_set()
        story.flight.leave()

    assert isinstance(await story.wait_ended(), ClientDisconnected)


async def test_it_ends_with_the_mesh() -> None:
    story, background = Story(), AsyncBackground()
    delivery = await arun(story.flow(), background)
    await delivery.read()
    await delivery.aclose()
    while not story.gates.is_asked.is_set():
        await asyncio.sleep(0)
    await background.aclose()

    assert isinstance(story.end, ClientDisconnected)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def run(flow: Flow) -> Any:
    return drive(flow, None, Background(), CancelScope())  # type: ignore[arg-type]


@pytest.mark.parametrize("reads", [0, 1])
def test_a_stream_goes_on_in_a_thread(reads: int) -> None:
    story = Story()
    delivery = run(story.flow())
    pieces = iter(delivery)
    for _ in range(reads):
        next(pieces)
    delivery.close()
    assert story.gates.is_asked.wait(WAIT_S)
    assert not story.has_ended.is_set()
    story.gates.is_open.set()

    assert story.has_ended.wait(WAIT_S)
    assert story.end == "whole"


def test_a_stream_in_a_thread_ends_at_once_if_nobody_waits() -> None:
    story = Story(waiting=0)
    delivery = run(story.flow())
    next(iter(delivery))
    delivery.close()

    assert isinstance(story.end, ClientDisconnected)


def test_a_stream_in_a_thread_ends_when_the_last_who_waits_leaves() -> None:
    story = Story()
    delivery = run(story.flow())
    next(iter(delivery))
    delivery.close()
    assert story.gates.is_asked.wait(WAIT_S)
    story.flight.leave()
    story.gates.is_open.set()

    assert story.has_ended.wait(WAIT_S)
    assert isinstance(story.end, ClientDisconnected)
