"""A reply on its way to the client, and the connection it comes from."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator

from ..._core.flow.reply import Refusal, Reply
from ...exceptions import ClientDisconnected, UpstreamError
from ..http.protocols import AsyncUpstreamResponse, UpstreamResponse
from ..tasks.read_timeout import TimedReader

__all__ = ["AsyncDelivery", "Delivery"]


class AsyncDelivery:
    """`read` or iterate it for a stream's body, `take` a whole one; close it on every path."""

    __slots__ = ("_has_begun", "_is_over", "_reader", "_response", "reply")

    def __init__(
        self, reply: Reply | Refusal, response: AsyncUpstreamResponse | None = None
    ) -> None:
        self.reply = reply
        self._response = response
        self._reader: TimedReader | None = None
        self._has_begun = False
        self._is_over = False

    async def read(self) -> bytes:
        """The client's next bytes, empty at the end.

        A stream that breaks off ends with what the reply says of it.
        """
        reply = self.reply
        if not self._has_begun:
            self._begin()
            if reply.body:
                return reply.body
        if self._is_over:
            return b""
        try:
            while self._reader is not None and isinstance(reply, Reply) and reply.is_open:
                data = await self._reader.read()
                if not data:
                    break
                if data := reply.feed(data):
                    return data
        except UpstreamError as error:
            return self._abort(error)
        self._end()
        return reply.finish()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """All that `read` gives."""
        while data := await self.read():
            yield data

    def take(self) -> bytes:
        """The body of a reply that is no stream."""
        self._end()
        self.reply.finish()
        return self.reply.body

    def break_off(self, error: Exception) -> bytes | None:
        """What the client still gets of a stream that is given up; None if it has all of it."""
        return None if self._is_over else self._abort(error)

    async def aclose(self, error: Exception | None = None) -> None:
        """Give the connection back; if the body was not delivered whole, the reply is aborted.

        Args:
            error: why it was not; by default that the client went away.
        """
        if not self._is_over:
            self._abort(error or ClientDisconnected("the client went away"))
        if self._response is not None:
            await self._response.aclose()

    def _begin(self) -> None:
        self._has_begun = True
        reply = self.reply
        if self._response is not None and reply.is_open and isinstance(reply, Reply):
            self._reader = TimedReader(self._response, reply)

    def _abort(self, error: Exception) -> bytes:
        self._end()
        return self.reply.abort(error)

    def _end(self) -> None:
        self._is_over = True
        if self._reader is not None:
            self._reader.close()


class Delivery:
    """The synchronous twin of `AsyncDelivery`."""

    __slots__ = ("_is_over", "_response", "reply")

    def __init__(self, reply: Reply | Refusal, response: UpstreamResponse | None = None) -> None:
        self.reply = reply
        self._response = response
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        """The client's bytes; a stream that breaks off ends with what the reply says of it."""
        reply = self.reply
        if reply.body:
            yield reply.body
        if reply.is_open and self._response is not None and isinstance(reply, Reply):
            try:
                while reply.is_open and (data := _read(self._response, reply)):
                    if data := reply.feed(data):
                        yield data
            except UpstreamError as error:
                yield self._abort(error)
                return
        self._is_over = True
        if rest := reply.finish():
            yield rest

    def take(self) -> bytes:
        """The body of a reply that is no stream."""
        self._is_over = True
        self.reply.finish()
        return self.reply.body

    def close(self, error: Exception | None = None) -> None:
        """As `AsyncDelivery.aclose`."""
        if not self._is_over:
            self._abort(error or ClientDisconnected("the client went away"))
        if self._response is not None:
            self._response.close()

    def _abort(self, error: Exception) -> bytes:
        self._is_over = True
        return self.reply.abort(error)


def _read(response: UpstreamResponse, reply: Reply) -> bytes:
    """The next bytes, under the reply's limits on silence and on the request's whole time."""
    since, whole = time.monotonic(), reply.request_deadline
    if since >= whole.at:
        raise whole.error()
    try:
        return response.read(min(since + reply.idle_s, whole.at))
    except TimeoutError as exc:
        raise whole.or_sooner(since, "idle", reply.idle_s).error() from exc
