"""A reply on its way to the client, and the driver that reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, Protocol

from ..._core.flow.reply import Reply
from ..._core.private import PerCall
from ..._core.values.steps import Body
from ...exceptions import ClientDisconnected
from .passage import Passage, StepDriver, Write

__all__ = ["AsyncBodyDriver", "AsyncDelivery", "BodyDriver", "Delivery"]


class AsyncBodyDriver(StepDriver, Protocol):
    """The part of a driver that carries out the steps of a body."""

    def goes_on(self, body: Body, reason: BaseException) -> bool:
        """Return whether `body` goes on without its client, and the driver with it."""

    async def end(self, body: Body, reason: BaseException) -> bytes:
        """Throw `reason` into `body`, let it settle, and return its last bytes."""

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Close the connection of the last attempt."""


class BodyDriver(Protocol):
    """The synchronous twin of `AsyncBodyDriver`."""

    def next(self, body: Body) -> bytes | None:
        """Return the next bytes of `body`, None at its end."""

    def goes_on(self, body: Body, reason: BaseException) -> bool:
        """Return whether `body` goes on without its client, and the driver with it."""

    def end(self, body: Body, reason: BaseException) -> bytes:
        """Throw `reason` into `body`, let it settle, and return its last bytes."""

    def close(self) -> None:
        """Close the connection of the last attempt."""


class AsyncDelivery(PerCall):
    """A reply: `read` or iterate a stream, `take` a whole body; close it on every path.

    The driver carries out the steps of the body; a whole body needs none. Without a driver there is
    nothing to close.
    """

    reply: Reply
    driver: AsyncBodyDriver | None = None
    _is_over: bool = False

    def read(self) -> Coroutine[Any, Any, bytes]:
        """Return the client's next bytes, empty at the end.

        A stream that breaks off ends with an error event.
        """
        body = self.reply.body
        if self._is_over or type(body) is bytes:
            return self._rest()
        return _next(self.driver, body)  # type: ignore[arg-type]  # it is a stream

    async def _rest(self) -> bytes:
        return b"" if self._is_over else self.take()

    def pass_on(self, write: Write, limit_s: float | None) -> Coroutine[Any, Any, None]:
        """Write the whole body of a stream; the client has `limit_s` to take each piece.

        Raises:
            TimeoutError: it did not take one.
        """
        driver, body = self.driver, self.reply.body
        return Passage(driver, body, write, limit_s).run()  # type: ignore[arg-type]  # a stream

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield what `read` returns, to the end."""
        while data := await self.read():
            yield data

    def take(self) -> bytes:
        """Return the body of a reply that is not a stream."""
        self._is_over = True
        body = self.reply.body
        if not isinstance(body, bytes):
            raise TypeError("a stream is read, not taken")
        return body

    async def end(self, reason: Exception) -> bytes:
        """End a stream early; return the last bytes for the client."""
        body, driver, is_over = self.reply.body, self.driver, self._is_over
        self._is_over = True
        if is_over or isinstance(body, bytes) or driver is None or driver.has_ended:
            return b""
        if not driver.has_begun:
            next(body, None)  # a generator that was not started cannot catch anything
        return await driver.end(body, reason)

    def aclose(self, reason: Exception | None = None) -> Coroutine[Any, Any, None]:
        """Close the upstream connection, or keep it for the next call if it was read to the end.

        Args:
            reason: the error that ended the reading; by default, that the client has left.
        """
        if type(self.reply.body) is bytes:
            self._is_over = True
            if self.driver is not None:
                return self.driver.aclose()
        return self._aclose(reason)

    async def _aclose(self, reason: Exception | None) -> None:
        body, driver = self.reply.body, self.driver
        if driver is None:
            return
        reason = reason or ClientDisconnected("the client went away")
        is_over = self._is_over or driver.has_ended
        if not is_over and not isinstance(body, bytes) and driver.goes_on(body, reason):
            self._is_over, self.driver = True, None
            return
        try:
            await self.end(reason)
        finally:
            await driver.aclose()


async def _next(driver: AsyncBodyDriver, body: Body) -> bytes:
    """Return the next bytes of `body`, empty at its end."""
    driver.has_begun = True
    try:
        item: Any = next(body)
        while item.__class__ is not bytes:
            item = body.send(await driver.perform(item))
    except StopIteration:
        driver.has_ended = True
        return b""
    return item


class Delivery(PerCall):
    """The synchronous twin of `AsyncDelivery`."""

    reply: Reply
    _driver: BodyDriver | None = None
    _has_begun: bool = False
    _is_over: bool = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the client's bytes; a stream that breaks off ends with an error event."""
        body = self.reply.body
        if isinstance(body, bytes) or self._driver is None:
            if not self._is_over:
                yield self.take()
            return
        self._has_begun = True
        while not self._is_over and (data := self._driver.next(body)) is not None:
            yield data
        self._is_over = True

    def take(self) -> bytes:
        """Return the body of a reply that is not a stream."""
        self._is_over = True
        body = self.reply.body
        if not isinstance(body, bytes):
            raise TypeError("a stream is read, not taken")
        return body

    def close(self, reason: Exception | None = None) -> None:
        """Close the upstream connection, or keep it if it was read to the end."""
        body, is_over, driver = self.reply.body, self._is_over, self._driver
        reason = reason or ClientDisconnected("the client went away")
        self._is_over = True
        if driver is None:
            return
        if is_over or isinstance(body, bytes):
            driver.close()
            return
        if driver.goes_on(body, reason):
            self._driver = None
            return
        try:
            if not self._has_begun:
                next(body, None)
            driver.end(body, reason)
        finally:
            driver.close()
