"""The log of `serve` is written in pieces of several lines, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from llm_mesh_middleware.cli.serving.log import BufferedHandler


class Counted(io.StringIO):
    """Counts the writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@pytest.fixture
def stream() -> Counted:
    return Counted()


@pytest.fixture
def handler(stream: Counted) -> BufferedHandler:
    return BufferedHandler(stream)


@pytest.fixture
def log(handler: BufferedHandler) -> Iterator[Callable[..., None]]:
    logger = logging.Logger("of-this-test", logging.INFO)
    logger.addHandler(handler)
    yield logger.log
    handler.close()


def test_without_a_loop_a_line_is_written_at_once(
    stream: Counted, log: Callable[..., None]
) -> None:
    log(logging.INFO, "first")
    assert stream.getvalue() == "first\n"


async def test_lines_wait_for_one_another(
    stream: Counted, handler: BufferedHandler, log: Callable[..., None]
) -> None:
    handler.follow(asyncio.get_running_loop())
    for number in range(5):
        log(logging.INFO, "line %d", number)
    assert stream.getvalue() == ""
    while not stream.getvalue():
        await asyncio.sleep(0.01)
    assert stream.getvalue() == "line 0\nline 1\nline 2\nline 3\nline 4\n"
    assert stream.writes == 1


async def test_a_warning_does_not_wait_and_comes_after_those_that_do(
    stream: Counted, handler: BufferedHandler, log: Callable[..., None]
) -> None:
    handler.follow(asyncio.get_running_loop())
    log(logging.INFO, "first")
    log(logging.WARNING, "second")
    assert stream.getvalue() == "first\nsecond\n"


async def test_many_lines_do_not_wait(
    stream: Counted, handler: BufferedHandler, log: Callable[..., None]
) -> None:
    handler.follow(asyncio.get_running_loop())
    for number in range(300):
        log(logging.INFO, "%d", number)
    assert stream.getvalue().count("\n") >= 256


async def test_another_thread_writes_at_once(
    stream: Counted, handler: BufferedHandler, log: Callable[..., None]
) -> None:
    handler.follow(asyncio.get_running_loop())
    thread = threading.Thread(target=log, args=(logging.INFO, "beside"))
    thread.start()
    thread.join()
    assert stream.getvalue() == "beside\n"


async def test_what_waits_at_the_end_is_written(
    stream: Counted, handler: BufferedHandler, log: Callable[..., None]
) -> None:
    handler.follow(asyncio.get_running_loop())
    log(logging.INFO, "last")
    handler.end()
    log(logging.INFO, "after it")
    assert stream.getvalue() == "last\nafter it\n"
