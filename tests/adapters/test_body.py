"""A request's body that has to be waited for: its time limit, and who learns of the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from llm_mesh_middleware.asgi.body import read_body
from llm_mesh_middleware.exceptions import ClientDisconnected, RequestTimeout, RequestTooLarge

SOON_S, LATER_S = 0.02, 60.0


class Client:
    """Sends `pieces`, each after a turn of the loop if it `drips`; then nothing for ever."""

    def __init__(self, *pieces: bytes, drips: bool, is_whole: bool = True) -> None:
        self._pieces = list(pieces)
        self._drips = drips
        self._is_whole = is_whole
        self.failure: BaseException | None = None

    async def receive(self) -> dict[str, Any]:
        if self._drips:
            await asyncio.sleep(0)
        try:
            if not self._pieces:
                await asyncio.Event().wait()
        except BaseException as exc:
            self.failure = exc
            raise
        body = self._pieces.pop(0)
        more = bool(self._pieces) or not self._is_whole
        return {"type": "http.request", "body": body, "more_body": more}


async def read(client: Client, max_bytes: int, timeout_s: float) -> bytes:
    body = read_body(client.receive, max_bytes=max_bytes, timeout_s=timeout_s)
    return await body if isinstance(body, Awaitable) else body


@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("pieces", [(b"",), (b"whole",), (b"in ", b"three ", b"pieces")])
async def test_a_body_is_read_to_its_end(pieces: tuple[bytes, ...], drips: bool) -> None:
    client = Client(*pieces, drips=drips)
    body = await read(client, 100, LATER_S)
    assert body == b"".join(pieces)


@pytest.mark.parametrize("drips", [False, True])
async def test_a_body_that_never_ends_is_given_up_in_time(drips: bool) -> None:
    client = Client(b"begun", drips=drips, is_whole=False)
    with pytest.raises(RequestTimeout):
        await read(client, 100, SOON_S)
    assert isinstance(client.failure, asyncio.CancelledError)


@pytest.mark.parametrize("drips", [False, True])
async def test_a_body_over_the_limit_is_refused_before_its_end(drips: bool) -> None:
    client = Client(b"12345", b"678", b"more", drips=drips)
    with pytest.raises(RequestTooLarge):
        await read(client, 7, LATER_S)


async def test_a_cancellation_reaches_the_server_that_is_waited_for() -> None:
    client = Client(drips=True)
    task = asyncio.create_task(read(client, 100, LATER_S))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(client.failure, asyncio.CancelledError)


async def test_a_client_that_leaves_is_told_apart_from_one_that_is_slow() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnected):
        await read_body(receive, max_bytes=100, timeout_s=LATER_S)  # type: ignore[misc]
