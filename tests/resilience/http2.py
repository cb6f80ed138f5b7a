"""A client that speaks HTTP/2 without TLS, and sends what no decent client would."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.settings

Field = tuple[bytes, bytes]


class Http2Client:
    """One connection. Every wait ends with an exception after ten seconds.

    Args:
        port: Where to connect to, on loopback.
        window: How many bytes of each response it is ready to take.
    """

    def __init__(self, port: int, *, window: int = 65_535) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._wire = h2.connection.H2Connection(config)
        self._wire.local_settings = h2.settings.Settings(
            initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self._wire.initiate_connection()
        self._statuses: dict[int, int] = {}
        self._ended: set[int] = set()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(
        self, host: str, content: str, *fields: Field, stream: bool = False, ends: bool = True
    ) -> int:
        """Send a chat completion's request, and return the number of its stream."""
        body = {"messages": [{"role": "user", "content": content}], "stream": stream}
        data = json.dumps(body).encode()
        head: Sequence[Field] = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":authority", host.encode()),
            (b":path", b"/v1/chat/completions"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(data)),
            *fields,
        ]
        number = self._wire.get_next_available_stream_id()
        self._wire.send_headers(number, head)
        self._wire.send_data(number, data if ends else data[:9], end_stream=ends)
        self._flush()
        return number

    def reset(self, number: int) -> None:
        """Take a request back."""
        self._wire.reset_stream(number)
        self._flush()

    def status(self, number: int) -> int:
        """The status of a response, as soon as it is there."""
        while number not in self._statuses:
            self._receive()
        return self._statuses[number]

    def end(self, number: int) -> int:
        """The status of a response whose end has come; 0 if it was reset, or the connection."""
        while number not in self._ended:
            if not self._receive():
                break
        return self._statuses.get(number, 0)

    def _receive(self) -> bool:
        data = self._socket.recv(65_536)
        for event in self._wire.receive_data(data):
            match event:
                case h2.events.ResponseReceived(headers=fields, stream_id=number):
                    self._statuses[number] = int(dict(fields)[b":status"])
                case h2.events.DataReceived(flow_controlled_length=size, stream_id=number):
                    self._wire.acknowledge_received_data(size, number)
                case h2.events.StreamEnded(stream_id=number):
                    self._ended.add(number)
                case h2.events.StreamReset(stream_id=number):
                    self._ended.add(number)
                case h2.events.ConnectionTerminated():
                    return False
        self._flush()
        return bool(data)

    def _flush(self) -> None:
        self._socket.sendall(self._wire.data_to_send())
