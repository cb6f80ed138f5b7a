"""A connection to a picker that the tasks of one event loop share."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import cast

from .streams import Streams

__all__ = ["AsyncConnection"]


class AsyncConnection(asyncio.Protocol):
    """Streams of messages; `open` connects."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._transport: asyncio.Transport | None = None
        self._readers: set[asyncio.Future[None]] = set()

    @classmethod
    async def open(
        cls, host: str, port: int, context: ssl.SSLContext | None, name: str
    ) -> AsyncConnection:
        """Connect to a picker.

        Raises:
            OSError: the connection cannot be made.
        """
        authority = name if context is not None else f"{host}:{port}"
        made = cls(Streams(authority, is_encrypted=context is not None))
        loop = asyncio.get_running_loop()
        if context is None:
            await loop.create_connection(lambda: made, host, port)
        else:
            await loop.create_connection(
                lambda: made, host, port, ssl=context, server_hostname=name
            )
        return made

    def begin(self, path: str, messages: Iterable[bytes]) -> int:
        """Begin a stream with messages, and return its number.

        Raises:
            OSError: the connection is over.
        """
        number = self._streams.begin(path)
        self._streams.send(number, messages)
        self._flush()
        return number

    async def read(self, number: int) -> bytes:
        """Wait for the next message of a stream.

        Raises:
            OSError: there is none.
            ValueError: it is not a message.
        """
        while (message := self._streams.take(number)) is None:
            news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._readers.add(news)
            try:
                await news
            finally:
                self._readers.discard(news)
        return message

    def send(self, number: int, messages: Iterable[bytes]) -> None:
        """Send messages of a stream; a failure is ignored."""
        self._streams.send(number, messages)
        self._flush()

    def finish(self, number: int) -> None:
        """End a stream; a failure is ignored."""
        self._streams.finish(number)
        self._flush()

    def close(self) -> None:
        """Close the connection; calls that wait end with an error."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface."""
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take received bytes, and wake the readers."""
        self._streams.receive(data)
        self._flush()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the readers, which then find the connection closed."""
        self._transport = None
        self._streams.receive(b"")
        self._wake()

    def _flush(self) -> None:
        data = self._streams.outgoing()
        if data and self._transport is not None:
            self._transport.write(data)

    def _wake(self) -> None:
        for news in self._readers:
            if not news.done():
                news.set_result(None)
