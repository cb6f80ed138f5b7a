"""A response that gives what comes where it arrives, instead of keeping it to be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from llm_mesh_middleware._engine.http.async_pooled_client import AsyncPooledClient
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamResponse
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.exceptions import UpstreamError
from llm_mesh_middleware.testing import FakeUpstream, Gate, Stream
from tests.engine.calls import read_piece, request_to

Framing = Literal["chunked", "length", "close"]
End = Literal["fin", "reset", "bad_chunk"]

PIECES = [b"data: one\n\n", b"data: two\r\n\r\n", b"data: " + b"3" * 70_000 + b"\n\n"]


@pytest.fixture
async def loop_client(contexts: TLSContexts) -> AsyncIterator[AsyncPooledClient]:
    client = AsyncPooledClient(contexts)
    yield client
    await client.aclose()


class Taken:
    """What a tap has given, until it has no more."""

    response: AsyncUpstreamResponse

    def __init__(self) -> None:
        self.data = b""
        self.is_over = asyncio.Event()

    def __call__(self, data: bytes) -> None:
        assert not self.is_over.is_set()
        self.data += data
        if not data:
            self.response.tap(None)
            self.is_over.set()


async def tapped(client: AsyncPooledClient, upstream: FakeUpstream, answer: Stream) -> Taken:
    """What comes of an answer whose pieces wait until the response is tapped."""
    taken, gate = Taken(), Gate()
    upstream.always(
        Stream([b":\n\n", gate, *answer.chunks], framing=answer.framing, end=answer.end)
    )
    taken.response = await client.open(request_to(upstream))
    assert await read_piece(taken.response) == b":\n\n"
    assert taken.response.tap(taken)
    gate.open()
    async with asyncio.timeout(5):
        await taken.is_over.wait()
    return taken


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
async def test_a_tap_gives_the_rest_of_the_body(
    loop_client: AsyncPooledClient, upstream: FakeUpstream, framing: Framing
) -> None:
    taken = await tapped(loop_client, upstream, Stream(PIECES, framing=framing))
    assert taken.data == b"".join(PIECES)
    assert not taken.response.tap(taken)  # its end is to be read
    assert await read_piece(taken.response) == b""
    await taken.response.aclose()


@pytest.mark.parametrize("end", ["fin", "reset", "bad_chunk"])
async def test_reading_tells_why_a_tap_gives_no_more(
    loop_client: AsyncPooledClient, upstream: FakeUpstream, end: End
) -> None:
    taken = await tapped(loop_client, upstream, Stream(PIECES[:2], end=end))
    assert b"".join(PIECES[:2]).startswith(taken.data)
    with pytest.raises(UpstreamError):
        await read_piece(taken.response)
    await taken.response.aclose()


async def test_what_comes_without_a_tap_is_read(
    loop_client: AsyncPooledClient, upstream: FakeUpstream
) -> None:
    gate = Gate()
    upstream.always(Stream([PIECES[0], gate, *PIECES[1:]]))
    response: AsyncUpstreamResponse = await loop_client.open(request_to(upstream))
    taken = Taken()
    if response.tap(taken):  # unless the first piece came with the head
        async with asyncio.timeout(5):
            while not taken.data:
                await asyncio.sleep(0.001)
        response.tap(None)
    else:
        assert await read_piece(response) == PIECES[0]
    gate.open()
    rest = b""
    while piece := await read_piece(response):
        rest += piece
    assert rest == b"".join(PIECES[1:])
    await response.aclose()
