"""A server behind a link that takes its time: every answer comes so much later."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from types import TracebackType

from tests.policies.servers import Server

__all__ = ["SlowLink"]


class SlowLink:
    """Passes bytes on to a server; answers wait for `delay_s`, which may change at any time."""

    def __init__(self, server: Server) -> None:
        self.delay_s = 0.0
        self._server = server
        self._stack = ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._threads = [self._start(self._accept)]

    def __enter__(self) -> SlowLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.delay_s = 0.0
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._stack.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server.port))
            except OSError:
                _shut(client)
                continue
            for connection in (client, server):
                self._stack.callback(_shut, connection)
            self._threads.append(self._start(self._pump, client, server))
            self._threads.append(self._start(self._pump, server, client, True))

    def _pump(self, source: socket.socket, target: socket.socket, is_late: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                came_at = time.monotonic()
                while is_late and time.monotonic() < came_at + self.delay_s:
                    time.sleep(0.005)
                target.sendall(data)
        for connection in (source, target):
            _shut(connection)

    def _start(self, target: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
