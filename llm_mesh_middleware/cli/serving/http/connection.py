"""One client connection of `llm-mesh serve`: HTTP/1.1 on httptools, with limits on heads.

httptools has no limit on the size of a head or the time it takes. So each byte of a head is counted
before it is parsed:

    state       ends with              limits
    in a head   the empty line         64 KiB (431), 10 s (408; silence if nothing was sent)
    in a body   the end of the body    the mesh's, `LLM_MESH_MAX_REQUEST_BYTES`
    refused     1 s, or the client     further bytes are dropped
    idle        the next byte          5 s

A connection on which 16 requests wait is closed at the next one. A connection beyond
`--limit-connections` gets 503 and is closed unread.

uvicorn is the server around it: it listens, keeps `server_state`, and calls `shutdown`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, MutableSequence
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from ...._mesh.seldom import Seldom
from ....inbound import Headers
from ..direct import Arrival, Direct, RequestHead
from .app_call import AppCall, scope_of
from .countdown import Countdown
from .dates import DATES
from .incoming import ARRIVED, IncomingBody, joined
from .mesh_call import MeshCall
from .refusals import BUSY, FAILED, INVALID, TOO_LARGE, TOO_SLOW
from .reply_writer import ReplyWriter
from .upgrades import without_upgrade

__all__ = ["SidecarProtocol"]

logger = logging.getLogger("llm_mesh_middleware")

# Requests that wait on one connection for the reply to the first.
_MAX_PIPELINED = 16
# Trailers, which nobody reads.
_DROPPED: deque[tuple[bytes, bytes]] = deque(maxlen=0)
# A close with unread bytes resets the connection, and the client would not see why.
_LINGER_S = 1.0


class _TooManyRequests(Exception):
    """Stops the parser in the middle of its input."""


class SidecarProtocol(asyncio.Protocol):
    """One connection; its calls are served one after another."""

    max_head_bytes = 64 * 1024
    head_timeout_s = 10.0

    _transport: asyncio.Transport
    _warnings = Seldom()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take the arguments that uvicorn passes for each connection."""
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self._direct: Direct | None = getattr(self._app, "direct", None)
        # uvicorn's own check would refuse requests at its limit, connections stay below it.
        self._limit = config.limit_concurrency - 1 if config.limit_concurrency else None
        self._keep_alive_s = config.timeout_keep_alive
        self._server = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._countdown = Countdown(self._loop, self._give_up)
        self._in_head = True
        self._head_bytes = 0
        self._target = b""
        self._fields: MutableSequence[tuple[bytes, bytes]] = []
        self._head: RequestHead | None = None  # whole, but its call has not begun
        self._pieces: list[bytes] = []  # of its body
        self._body: IncomingBody | None = None  # of the last call that has begun
        self._current: MeshCall | AppCall | None = None
        self._waiting: deque[MeshCall | AppCall] = deque()
        self._writable: asyncio.Event | None = None
        self._is_refused = self._is_idle = self._is_timed = self._is_read_paused = False
        self._parser = self._new_parser()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or refuse it at the limit.

        Sockets that uvicorn shares among workers lack `TCP_NODELAY`; without it, replies would wait
        for up to 40 ms.
        """
        self._transport = transport
        connections = self._server.connections
        if self._limit is not None and len(connections) >= self._limit:
            self._is_refused = True
            if self._warnings.allows("connections", self._loop.time()):
                logger.warning("refused a connection: there are %d already", len(connections))
            transport.write(BUSY)
            transport.close()
            return
        connections.add(self)  # type: ignore[arg-type]  # uvicorn's types allow only its protocols
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self._own = (str(own[0]), int(own[1])) if isinstance(own, tuple) else None
        self._arrival = Arrival(
            "https" if transport.get_extra_info("sslcontext") else "http",
            None if self._client is None else self._client[0],
            None if self._own is None else self._own[1],
        )
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and let its call know that the client has left.

        References to the connection are dropped: it is an old object by now, and the garbage
        collector seldom looks for cycles among those.
        """
        self._server.connections.discard(self)
        self._countdown.close()
        self._waiting.clear()
        call, self._current = self._current, None
        if call is not None:
            call.gone()
        self._body = self._parser = None
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse `data`; a head only up to its limit."""
        self._is_idle = False
        while self._in_head and data and not self._is_refused:
            left = self.max_head_bytes - self._head_bytes
            if left <= 0:
                self._refuse(TOO_LARGE)
                return
            piece, data = (data, b"") if len(data) <= left else (data[:left], data[left:])
            self._head_bytes += len(piece)
            self._parse(piece)
        if data and not self._is_refused:
            self._parse(data)
        if self._is_refused:
            return
        if self._in_head:
            if self._head_bytes and not self._is_timed:
                self._time_head()
        elif self._current is None:  # the rest of a body that nobody reads
            self._be_idle()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            if not self._is_refused:  # else `_TooManyRequests` was raised here
                self._is_refused = True
                self._transport.write(INVALID)
                self._transport.close()
        else:
            if self._head is not None:
                self._begin(self._head, None)

    def _new_parser(self) -> Any:
        parser = httptools.HttpRequestParser(self)
        # Drop bytes after a request with `Connection: close`, rather than refuse the request.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _read_without_upgrade(self, rest: bytes) -> None:
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if method == b"CONNECT":
            return
        head = without_upgrade(method, self._target, version, self._fields)
        self._parser = self._new_parser()
        self._target, self._fields = b"", []
        self._parse(head + rest)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the end of a head."""
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":  # it is read again, without it
            return
        self._in_head = False
        if self._is_timed:
            self._is_timed = False
            self._countdown.stop()
        if len(self._waiting) >= _MAX_PIPELINED:
            self._is_refused = True
            self._transport.close()
            raise _TooManyRequests
        self._head = RequestHead(
            method.decode(),
            self._target,
            Headers(self._fields),
            parser.get_http_version(),
            parser.should_keep_alive(),
            self._arrival,
        )
        self._target, self._fields = b"", _DROPPED  # trailers come after the body

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; nobody reads it once the reply is over."""
        if self._head is not None:
            self._pieces.append(body)
        elif self._body is not None:
            self._body.feed(body)

    def on_message_complete(self) -> None:
        """Expect the next head; nearly always the call of this one begins here."""
        if self._in_head:  # a request for an upgrade, which is read again
            return
        if self._head is not None:
            self._begin(self._head, joined(self._pieces))
        elif self._body is not None:
            self._body.finish()
            self._body = None
        self._in_head = True
        self._head_bytes = 0
        self._fields = []

    def _begin(self, head: RequestHead, data: bytes | None) -> None:
        """Start the call of a request, or let it wait for those before it.

        `data` is its body, None while that is not whole.
        """
        pieces, self._pieces, self._head = self._pieces, [], None
        is_old = head.http_version == "1.0"
        writer = ReplyWriter(self, head.method != "HEAD", is_old, head.keeps_alive and not is_old)
        direct = self._direct
        found = None if direct is None else direct.address(head, data or b"")
        call: MeshCall | AppCall
        if direct is not None and found is not None:
            addressed, request = found
            body = IncomingBody.of(self, head.headers, pieces) if data is None else ARRIVED
            call = MeshCall(direct, addressed, request, body, writer, self, self._loop)
        else:
            body = IncomingBody.of(self, head.headers, pieces, is_complete=data is not None)
            call = AppCall(self._app, scope_of(head, self._of_scopes()), body, writer, self)
        if data is None:
            self._body = body
        if self._current is None:
            self._start(call)
        else:
            self.pause_reading()
            self._waiting.append(call)

    def _of_scopes(self) -> dict[str, Any]:
        return {"client": self._client, "server": self._own, "state": self._app_state.copy()}

    def _start(self, call: MeshCall | AppCall) -> None:
        self._current = call
        # Not by `create_task`: a name of its own, which nobody reads, would be formatted.
        call.task = task = asyncio.Task(self._run(call), loop=self._loop, name="llm-mesh call")
        self._server.tasks.add(task)

    async def _run(self, call: MeshCall | AppCall) -> None:
        writer = call.writer
        try:
            await call.run()
        except Exception:  # an error must end this request only
            logger.exception("a request has failed")
            if not writer.has_started:
                self.send(FAILED)
        finally:
            self._server.tasks.discard(call.task)  # a callback of the task would be another handle
            if not writer.is_over:
                self._break_off()

    def _break_off(self) -> None:
        """Close a connection whose reply is not complete; a client that reads nothing is cut."""
        if self._writable is None:
            self._transport.close()
        else:
            self._transport.abort()

    def send(self, data: bytes) -> None:
        """Send bytes, unless the client has left."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def drained(self) -> Awaitable[None] | None:
        """Return an awaitable for when the client has read; None if there is room for more."""
        return None if self._writable is None else self._drain(self._writable)

    async def _drain(self, writable: asyncio.Event) -> None:
        await writable.wait()

    def dated(self) -> bytes:
        """Return the header lines of every reply."""
        fields = self._server.default_headers
        return DATES.lines if fields is DATES.fields else DATES.renewed(fields)

    def replied(self) -> None:
        """Start the next call, wait for one, or close."""
        self._server.total_requests += 1
        call, self._current = self._current, None
        if self._transport.is_closing() or call is None:
            return
        if not call.writer.keeps_alive:
            self._transport.close()
            return
        if not call.body.is_complete:
            call.body.drop()
            self._body = None
        if self._is_read_paused:
            self.resume_reading()
        if self._waiting:
            self._start(self._waiting.popleft())
        elif not self._in_head or not self._head_bytes:
            self._be_idle()

    def shutdown(self) -> None:
        """Close once the current reply is complete; uvicorn calls this when it shuts down."""
        if self._current is None:
            self._transport.close()
        else:
            self._current.writer.keeps_alive = False

    def pause_reading(self) -> None:
        """Read no more for now."""
        if not self._is_read_paused:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless calls wait for their turn."""
        if self._is_read_paused and not self._waiting and not self._transport.is_closing():
            self._is_read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Make writers wait: the client does not read."""
        self._writable = self._writable or asyncio.Event()

    def resume_writing(self) -> None:
        """Wake the writers: the client reads again."""
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set()

    def _be_idle(self) -> None:
        self._is_idle = True
        self._countdown.start(self._keep_alive_s)

    def _time_head(self) -> None:
        if not self._is_refused:
            self._is_timed = True
            self._countdown.start(self.head_timeout_s)

    def _give_up(self) -> None:
        """End a connection that was idle for too long, or too slow with a head."""
        if not (self._is_idle or self._is_timed):  # a request has come since
            return
        if self._head_bytes and not self._is_idle:
            self._refuse(TOO_SLOW)
        else:
            self._transport.close()

    def _refuse(self, reply: bytes) -> None:
        """Send a refusal, and close once the client has had time to read it."""
        self._countdown.stop()
        self._is_refused = True
        transport = self._transport
        if self._current is not None:
            transport.close()  # a reply to the request before this one is under way
            return
        transport.write(reply)
        if transport.can_write_eof():
            transport.write_eof()
        self._loop.call_later(_LINGER_S, transport.close)
