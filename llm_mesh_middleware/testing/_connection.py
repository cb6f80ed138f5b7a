"""One accepted connection: the handshake, then request and response in turn, until one side closes.

The socket is always watched for a client that leaves, also while an answer waits: bytes are read as
they arrive, and `_gone` ends the current answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from ._answers import Answer, Gate
from ._bodies import error_body
from ._requests import MAX_HEAD_BYTES, BadRequest, RecordedRequest, read_request
from ._wire import Ending, Step, WireContext, wire

if TYPE_CHECKING:
    from ._server import FakeUpstream

_PIECE_BYTES = 1 << 16
_GOODBYE_S = 1.0
_server_names: WeakKeyDictionary[ssl.SSLObject, str | None] = WeakKeyDictionary()


def note_server_name(
    asking: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
) -> None:
    """Store the server name of a handshake; one function for all, as contexts may be shared."""
    if isinstance(asking, ssl.SSLObject):
        _server_names[asking] = name


class Connection(asyncio.Protocol):
    """The server's end of one connection; `serve()` runs for as long as it is open."""

    def __init__(self, upstream: FakeUpstream, number: int, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self._upstream = upstream
        self._context = context
        self._reader = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
        self._gone: asyncio.Future[float] = loop.create_future()
        self._lost = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._server_name: str | None = None
        self.is_idle = False
        self.task: asyncio.Task[None]

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = self._transport = cast("asyncio.Transport", transport)
        if self._context is not None:
            self._raw.pause_reading()  # the first bytes belong to the handshake
        if self._upstream._connection_opened(self):
            self.task = asyncio.get_running_loop().create_task(self._run())
        else:
            self._raw.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed_data(data)

    def eof_received(self) -> bool:
        self._leave()
        return self._context is None  # over TLS asyncio closes by itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._lost.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _leave(self) -> None:
        if not self._gone.done():
            self._gone.set_result(time.monotonic())
            self._reader.feed_eof()

    # The life of the connection.

    async def _run(self) -> None:
        try:
            if self._upstream.mute:
                self._raw.resume_reading()
                await asyncio.wait((self._gone,))
            elif await self._secure():
                await self._serve()
        except Exception as error:  # `close` raises it in the test
            self._upstream._failed(error)
        finally:
            self.abort()

    async def _secure(self) -> bool:
        self._raw.set_write_buffer_limits(high=0)
        if self._context is None:
            return True
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(self._raw, self, self._context, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self._upstream._handshake_failed(str(error) or repr(error))
            return False
        if secured is None:  # the client has left, and asyncio calls only its own TLS layer
            self.connection_lost(None)
            return True  # what came before still counts
        self._transport = secured
        secured.set_write_buffer_limits(high=1, low=0)  # with 0, TLS pauses for ever on nothing
        self._server_name = _server_names.get(secured.get_extra_info("ssl_object"))
        return True

    async def _serve(self) -> None:
        ending: Ending = "keep"
        while ending == "keep":
            self.is_idle = True
            try:
                request = await read_request(self._reader, self._transport.write)
            except BadRequest as error:
                self._refuse(str(error))
                break
            finally:
                self.is_idle = False
            if request is None:
                break
            request.connection, request.server_name = self.number, self._server_name
            ending = await self._answer(request, self._upstream._respond(request))
        await self.close(reset=ending == "reset")

    async def _answer(self, request: RecordedRequest, steps: Iterator[Step]) -> Ending:
        """Send the answer, until it ends or the client leaves."""
        play = asyncio.ensure_future(self._play(request, steps))
        try:
            await asyncio.wait((play, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if play.done():
                return play.result()
            return "fin"
        finally:
            if not play.done():
                play.cancel()
                await asyncio.wait((play,))
            if request.answered_at is None:
                request.end(disconnected_at=self._gone.result() if self._gone.done() else None)

    async def _play(self, request: RecordedRequest, steps: Iterator[Step]) -> Ending:
        ending: Ending = "stall"
        for step in steps:
            if isinstance(step, bytes):
                await self._send(request, step)
            elif isinstance(step, str):
                ending = step
            elif isinstance(step, Gate):
                await step.wait_open()
            else:
                await asyncio.sleep(step)
        await self._flushed(delivered=ending == "reset")
        if ending == "stall":
            await asyncio.wait((self._gone,))
        elif ending in ("keep", "close") and not self._raw.is_closing():
            # In the same turn of the loop as the last write: a client that has all and leaves at
            # once must not count as gone early.
            request.end(answered_at=time.monotonic())
        return ending

    async def _send(self, request: RecordedRequest, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            await asyncio.sleep(
                0
            )  # before the write, for the reason above; an endless stream must not hog
            piece = data[start : start + _PIECE_BYTES]
            self._transport.write(piece)
            request.sent_bytes += len(piece)
            await self._writable.wait()

    async def _flushed(self, *, delivered: bool) -> None:
        """Wait until no byte is left in this process nor, if `delivered`, in this end's socket."""
        pause = 0.001
        while self._pending(delivered):
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.02)

    def _pending(self, delivered: bool) -> bool:
        if self._raw.is_closing():
            return False
        if self._raw.get_write_buffer_size() or self._transport.get_write_buffer_size():
            return True
        return delivered and _unsent(self._raw.get_extra_info("socket")) > 0

    def _refuse(self, why: str) -> None:
        context = WireContext("POST", keep_alive=False, default=Answer)
        for step in wire(Answer(400, body=error_body(why)), context):
            if isinstance(step, bytes):
                self._transport.write(step)

    async def close(self, *, reset: bool = False) -> None:
        """Close with a TLS shutdown and FIN, or reset."""
        if reset and not self._raw.is_closing():
            # Linger of zero seconds: close() sends RST and forgets what is unsent.
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self._raw.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            self._raw.abort()
        else:
            self._transport.close()
            self._raw.close()
        with suppress(
            TimeoutError
        ):  # a client that takes nothing is cut off by the abort to follow
            await asyncio.wait_for(self._lost.wait(), _GOODBYE_S)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._raw.abort()
        self._upstream._connection_closed(self)


def _unsent(sock: socket.socket) -> int:
    """Return the bytes that are not acknowledged, which a reset would drop; 0 if unknown."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
