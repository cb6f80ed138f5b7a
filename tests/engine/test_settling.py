"""What the drivers do beside calls: ports, settling after an early end, work in the background."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from llm_mesh_middleware._core.flow.reply import Flow, Reply
from llm_mesh_middleware._core.values.steps import Ask, Body, Sleep, Spawn, Steps
from llm_mesh_middleware._engine.drivers.async_driver import adrive
from llm_mesh_middleware._engine.drivers.driver import drive
from llm_mesh_middleware._engine.tasks.background import AsyncBackground, Background
from llm_mesh_middleware._engine.tasks.cancel_scope import CancelScope
from llm_mesh_middleware.exceptions import AccessDenied, ClientDisconnected
from tests.rows import rows

GONE = ClientDisconnected("gone")


class Store:
    """A port that answers when `gate` opens; None is an open gate."""

    def __init__(self, gate: Any = None) -> None:
        self.gate = gate
        self.asked: list[object] = []
        self.answered: list[object] = []

    def ask(self, request: object, until: float | None) -> object:
        self.asked.append(request)
        if self.gate is not None:
            self.gate.wait(5)
        self.answered.append(request)
        return request

    async def aask(self, request: object, until: float | None) -> object:
        self.asked.append(request)
        if self.gate is not None:
            await self.gate.wait()
        self.answered.append(request)
        return request


class Refusing:
    def ask(self, request: object, until: float | None) -> object:
        raise AccessDenied("no")

    async def aask(self, request: object, until: float | None) -> object:
        raise AccessDenied("no")


def settling(store: Store) -> Flow:
    """A stream that settles with the store however it ends."""

    def body() -> Body:
        try:
            yield b"one"
            yield b"two"
        finally:
            yield Ask(store, "settle")

    return Reply(200, [], body())
    yield  # a flow is a generator


def asking(port: Any) -> Flow:
    answer = yield Ask(port, "question")
    return Reply(200, [], repr(answer).encode())


def spawning(*flows: Steps) -> Flow:
    for flow in flows:
        yield Spawn(flow)
    return Reply(200, [])


def asks(store: Store, request: object) -> Steps:
    yield Ask(store, request)


def never() -> Exception:
    raise AssertionError("nobody was cancelled")


async def arun(flow: Flow, background: AsyncBackground | None = None) -> Any:
    return await adrive(flow, None, background or AsyncBackground(), never)  # type: ignore[arg-type]


def run(flow: Flow, background: Background | None = None) -> Any:
    return drive(flow, None, background or Background(), CancelScope())  # type: ignore[arg-type]


async def test_an_answer_of_a_port_is_the_result_of_its_step() -> None:
    assert (await arun(asking(Store()))).take() == b"'question'"
    assert run(asking(Store())).take() == b"'question'"


async def test_a_refusal_of_a_port_is_a_value() -> None:
    assert b"Refused" in (await arun(asking(Refusing()))).take()
    assert b"Refused" in run(asking(Refusing())).take()


@pytest.mark.parametrize("reads", [0, 1, 2])
async def test_a_stream_that_is_left_settles_once(reads: int) -> None:
    store = Store()
    delivery = await arun(settling(store))
    for _ in range(reads):
        await delivery.read()
    for _ in range(2):
        await delivery.aclose()
    assert store.answered == ["settle"]


@rows("reads", [0, 1, 2])
def test_a_stream_that_is_left_settles_once_in_a_thread_too(reads: int) -> None:
    store = Store()
    delivery = run(settling(store))
    pieces = iter(delivery)
    for _ in range(reads):
        next(pieces)
    for _ in range(2):
        delivery.close()
    assert store.answered == ["settle"]


async def test_settling_is_not_cancelled_with_its_request() -> None:
    store = Store(asyncio.Event())
    delivery = await arun(settling(store))
    await delivery.read()
    closing = asyncio.create_task(delivery.aclose())
    while not store.asked:
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert store.answered == ["settle"]


async def test_what_takes_longer_goes_on_in_the_background() -> None:
    store, background = Store(asyncio.Event()), AsyncBackground()
    delivery = await arun(settling(store), background)
    await delivery.read()
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    await delivery.aclose()
    assert 0.9 < loop.time() - began < 20
    assert store.answered == []
    store.gate.set()
    await asyncio.sleep(0.01)
    assert store.answered == ["settle"]


async def test_a_spawned_flow_runs_beside_and_is_cancelled_at_the_end() -> None:
    quick, slow, background = Store(), Store(asyncio.Event()), AsyncBackground()
    delivery = await arun(spawning(asks(quick, "a"), asks(slow, "b")), background)
    assert delivery.reply.status == 200
    while not (quick.answered and slow.asked):
        await asyncio.sleep(0)
    await background.aclose()
    assert slow.answered == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_spawned_flow_runs_in_a_thread() -> None:
    store = Store(threading.Event())
    run(spawning(asks(store, "a")))
    store.gate.set()
    for _ in range(1000):
        if store.answered:
            break
        threading.Event().wait(0.005)
    assert store.answered == ["a"]


async def test_what_is_too_much_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    store, background = Store(asyncio.Event()), AsyncBackground(max_tasks=2)
    with caplog.at_level(logging.WARNING, "llm_mesh_middleware"):
        await arun(spawning(*[asks(store, number) for number in range(4)]), background)
    await asyncio.sleep(0.01)
    assert store.asked == [0, 1]
    assert caplog.text.count("background work was dropped") == 2
    await background.aclose()


async def test_a_failure_in_the_background_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Steps:
        yield Sleep(0)
        raise LookupError("lost")

    background = AsyncBackground()
    await arun(spawning(fails()), background)
    await asyncio.sleep(0.02)
    assert "LookupError: lost" in caplog.text
