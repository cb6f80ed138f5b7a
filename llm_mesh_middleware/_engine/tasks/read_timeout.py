"""Reading with a limit on the silence between two reads."""

from __future__ import annotations

import asyncio

from ..._core.flow.reply import Reply
from ..http.protocols import AsyncUpstreamResponse

__all__ = ["TimedReader"]


class TimedReader:
    """Reads a response under the limits of its reply: silence, and the request's whole time.

    One timer serves the whole stream. It is not moved with every read, which would cost more than
    the read; it looks, when it fires, how long the current read has been waiting, and sets itself
    anew. The time a slow client takes between two reads is not counted as the provider's silence.
    """

    __slots__ = (
        "_has_fired",
        "_loop",
        "_reply",
        "_request_ends_at",
        "_response",
        "_since",
        "_task",
        "_timer",
    )

    def __init__(self, response: AsyncUpstreamResponse, reply: Reply) -> None:
        self._response = response
        self._reply = reply
        self._request_ends_at = reply.request_deadline.at
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._since = self._loop.time()
        self._has_fired = False
        self._timer = self._loop.call_at(self._deadline(), self._look)

    async def read(self) -> bytes:
        """The next bytes, empty at the end.

        Raises:
            UpstreamTimeout: none came in time.
            UpstreamError: the provider broke off.
        """
        self._since = now = self._loop.time()
        if now >= self._request_ends_at:
            raise self._reply.request_deadline.error()
        self._task = asyncio.current_task(self._loop)
        try:
            return await self._response.read()
        except asyncio.CancelledError as exc:
            if self._has_fired and self._task is not None and not self._task.uncancel():
                deadline = self._reply.request_deadline.or_sooner(
                    self._since, "idle", self._reply.idle_s
                )
                raise deadline.error() from exc
            raise
        finally:
            self._task = None

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _deadline(self) -> float:
        return min(self._since + self._reply.idle_s, self._request_ends_at)

    def _look(self) -> None:
        now = self._loop.time()
        if self._task is None:  # the client's turn: nothing is awaited from the provider
            at = now + self._reply.idle_s
            if now < self._request_ends_at < at:
                at = self._request_ends_at
        elif now >= self._deadline():
            self._has_fired = True
            self._task.cancel()
            return
        else:
            at = self._deadline()
        self._timer = self._loop.call_at(at, self._look)
