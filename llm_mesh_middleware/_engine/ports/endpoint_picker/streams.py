"""gRPC over one HTTP/2 connection, without I/O: concurrent streams of messages.

    begin ──> send ... ──> finish      the client's messages, buffered while a window is full
    receive                            bytes of the connection; then `take` returns messages
    outgoing                           bytes for the connection, after each of the above

A message is a byte (0: not compressed), its length in four bytes, and itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import h2.config
import h2.connection
import h2.events
import h2.exceptions

__all__ = ["Streams"]

_PREFIX_BYTES = 5
_MAX_MESSAGE_BYTES = 2**20
_CANCEL = 8


class _Stream:
    __slots__ = ("is_finished", "is_over", "received", "unsent")

    def __init__(self) -> None:
        self.unsent = bytearray()
        self.received = bytearray()
        self.is_finished = False
        self.is_over = False


class Streams:
    """The streams of one connection; `is_over` once no more can begin."""

    def __init__(self, authority: str, *, is_encrypted: bool) -> None:
        config = h2.config.H2Configuration(header_encoding=None)
        self._wire = h2.connection.H2Connection(config)
        self._wire.initiate_connection()
        self._streams: dict[int, _Stream] = {}
        self._fields = [
            (b":method", b"POST"),
            (b":scheme", b"https" if is_encrypted else b"http"),
            (b":authority", authority.encode()),
        ]
        self.is_over = False

    def begin(self, path: str) -> int:
        """Begin a stream and return its number.

        Raises:
            OSError: the connection is over, or has too many streams.
        """
        if self.is_over:
            raise ConnectionError("the connection is over")
        fields = [
            *self._fields,
            (b":path", path.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        ]
        try:
            number = self._wire.get_next_available_stream_id()
            self._wire.send_headers(number, fields)
        except h2.exceptions.ProtocolError as exc:
            raise ConnectionError(f"no stream can begin: {exc}") from exc
        self._streams[number] = _Stream()
        return number

    def send(self, number: int, messages: Iterable[bytes]) -> None:
        """Send messages; those that exceed a window are sent when it opens."""
        stream = self._streams.get(number)
        if stream is not None and not stream.is_over:
            for message in messages:
                stream.unsent += b"\0" + len(message).to_bytes(4, "big") + message
            self._pump(number, stream)

    def finish(self, number: int) -> None:
        """End a stream; nothing more is taken from it."""
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.is_finished = True
        if stream.unsent and not stream.is_over:  # the rest will not be sent
            self._reset(number, stream)
        else:
            self._pump(number, stream)

    def take(self, number: int) -> bytes | None:
        """Return the next message of a stream; None if there is none yet.

        Raises:
            OSError: there will be none, as the connection is over.
            ValueError: there will be none, or it is compressed or too long.
        """
        stream = self._streams.get(number)
        if stream is None:
            raise ValueError("the stream is over")
        received = stream.received
        if len(received) >= _PREFIX_BYTES:
            size = int.from_bytes(received[1:_PREFIX_BYTES], "big")
            if received[0] or size > _MAX_MESSAGE_BYTES:
                raise ValueError("a message is compressed or too long")
            end = _PREFIX_BYTES + size
            if len(received) >= end:
                message = bytes(received[_PREFIX_BYTES:end])
                del received[:end]
                return message
        if self.is_over:
            raise ConnectionError("the connection is over")
        if stream.is_over:
            raise ValueError("the stream has ended")
        return None

    def receive(self, data: bytes) -> None:
        """Take bytes of the connection; empty bytes are its end."""
        if not data:
            self.is_over = True
            return
        try:
            for event in self._wire.receive_data(data):
                self._see(event)
        except h2.exceptions.ProtocolError:
            self.is_over = True

    def outgoing(self) -> bytes:
        """Return bytes for the connection."""
        return self._wire.data_to_send()

    def _see(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.is_over = True
        elif isinstance(event, h2.events.RemoteSettingsChanged | h2.events.WindowUpdated):
            self._pump_all()
        elif isinstance(event, h2.events.DataReceived):
            self._wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            stream = self._streams.get(event.stream_id)
            if stream is not None and len(stream.received) <= _MAX_MESSAGE_BYTES:
                stream.received += b"" if stream.is_finished else event.data
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.is_over = True
                stream.unsent.clear()
                if stream.is_finished:
                    del self._streams[event.stream_id]

    def _pump_all(self) -> None:
        for number, stream in list(self._streams.items()):
            if stream.unsent:
                self._pump(number, stream)

    def _pump(self, number: int, stream: _Stream) -> None:
        """Send as much as the windows allow, and then the end of a finished stream."""
        try:
            while stream.unsent and not stream.is_over:
                room = self._wire.local_flow_control_window(number)
                size = min(room, self._wire.max_outbound_frame_size, len(stream.unsent))
                if not size:
                    return
                self._wire.send_data(number, bytes(stream.unsent[:size]))
                del stream.unsent[:size]
            if stream.is_finished:
                self._wire.end_stream(number)
        except h2.exceptions.ProtocolError:  # it was reset
            stream.is_over = True
        if stream.is_finished and stream.is_over:
            self._streams.pop(number, None)

    def _reset(self, number: int, stream: _Stream) -> None:
        self._streams.pop(number, None)
        try:
            self._wire.reset_stream(number, _CANCEL)
        except h2.exceptions.ProtocolError:
            stream.is_over = True
