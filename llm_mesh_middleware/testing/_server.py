"""`FakeUpstream`: the listening socket, its thread, the script, and the recorded requests.

One lock guards the state that the loop's thread and the test's threads share; a change notifies
all.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Literal

from ._answers import Scripted
from ._certificates import CertificateAuthority
from ._connection import Connection, note_server_name
from ._provider import Provider
from ._requests import RecordedRequest
from ._script import Script
from ._wire import Step, WireContext, wire

__all__ = ["FakeUpstream"]

_HOST = "127.0.0.1"
_THREAD_TIMEOUT_S = 10.0


class FakeUpstream:
    """An OpenAI-compatible provider on a real socket of 127.0.0.1, for tests and demonstrations.

    Use it as `with`, as `async with`, or call `start()` and `close()`.

    Args:
        host_names: The names its certificate is for; the address itself is in it only if named.
        tls: True for a certificate of `ca`, False for plain HTTP, or a context to use as it is
            (`CertificateAuthority.issue`), such as one with a wrong certificate.
        ca: The authority that issues the certificate; a new one if not given.
        api_key: Answer 401 to every request that does not carry it as Bearer.
        models: What `GET */models` lists; requests may name any model.
        port: 0 for a free one. It is kept from `close()` to the next `start()`.
        mute: Accept connections and say nothing, not even a TLS handshake. May be changed later,
            for connections then new.

    Raises:
        ImportError: TLS is wanted and `trustme` is not installed.
    """

    def __init__(
        self,
        *,
        host_names: str | Sequence[str] = ("localhost", _HOST),
        tls: bool | ssl.SSLContext = True,
        ca: CertificateAuthority | None = None,
        api_key: str | None = None,
        models: Sequence[str] = ("fake-model",),
        port: int = 0,
        mute: bool = False,
    ) -> None:
        self.host_names = (host_names,) if isinstance(host_names, str) else tuple(host_names)
        self.mute = mute
        self._port = port
        self._provider = Provider(api_key, tuple(models))
        if tls is True:
            ca = ca or CertificateAuthority()
            tls = ca.issue(*self.host_names)
        self._ca = ca
        self._context = tls or None
        if self._context is not None:
            self._context.sni_callback = note_server_name
        self._changed = threading.Condition()
        self._requests: list[RecordedRequest] = []
        self._script = Script()
        self._connections: set[Connection] = set()
        self._accepted = self._read = 0
        self._tls_failures: list[str] = []
        self._failures: list[Exception] = []
        self._thread: threading.Thread | None = None
        self._opening: set[asyncio.Task[tuple[asyncio.Transport, Connection]]] = set()

    def __repr__(self) -> str:
        state = f"{len(self.requests)} requests, {self.open_connections} open connections"
        return f"<FakeUpstream {self.url if self._port else 'not started'} [{state}]>"

    # Its life.

    def start(self) -> FakeUpstream:
        """Listen, after a `close()` on the same port; return self when it accepts connections."""
        if self._thread is not None:
            raise RuntimeError(f"{self!r} is already started")
        started: Future[int] = Future()
        thread = threading.Thread(
            target=self._run, args=(started,), name="fake-upstream", daemon=True
        )
        thread.start()
        self._port = started.result(_THREAD_TIMEOUT_S)
        self._thread = thread
        return self

    def close(self) -> None:
        """Stop listening, drop every connection, end the thread; a second call does nothing.

        Raises:
            Exception: what went wrong inside, for example in a scripted callable; several failures
                come as an `ExceptionGroup`.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_THREAD_TIMEOUT_S)
        if thread.is_alive():
            raise RuntimeError(f"the thread of {self!r} does not end: does a callable block?")
        failures, self._failures = self._failures, []
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup(f"failures inside {self!r}", failures)

    def __enter__(self) -> FakeUpstream:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(
                f"besides, inside {self!r}: {error!r}"
            )  # the test's own failure stays on top

    async def __aenter__(self) -> FakeUpstream:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, exc_type, exc, traceback)

    # Where it is.

    @property
    def port(self) -> int:
        """The port it listens on."""
        if not self._port:
            raise RuntimeError("the upstream has no port before start()")
        return self._port

    @property
    def url(self) -> str:
        """The base URL, by address: `https://127.0.0.1:PORT`."""
        return f"{'https' if self._context else 'http'}://{_HOST}:{self.port}"

    @property
    def endpoints(self) -> dict[str, str]:
        """Each host name with `url`, as `LLM_MESH_ENDPOINTS` wants it."""
        return dict.fromkeys(self.host_names, self.url)

    @property
    def ca(self) -> CertificateAuthority:
        """The authority that clients must trust."""
        if self._ca is None:
            raise RuntimeError(
                "this upstream has no authority: it is plain HTTP or has its own context"
            )
        return self._ca

    # What it answers.

    def script(self, *answers: Scripted) -> None:
        """Queue answers, one per request; then the one of `always` is used again."""
        self._script.add(*answers)

    def always(self, answer: Scripted | None) -> None:
        """Set the answer to all requests without a queued one; None for the provider's own."""
        self._script.stand(answer)

    def clear(self) -> None:
        """Forget requests, TLS failures and scripted answers; connections stay open."""
        with self._changed:
            self._requests.clear()
            self._tls_failures.clear()
        self._script.clear()

    def drop_connections(self, how: Literal["fin", "reset"] = "fin") -> None:
        """Close every idle connection; return when they are closed."""

        async def drop() -> None:
            idle = [one for one in self._connections if one.is_idle]
            await asyncio.gather(*(one.close(reset=how == "reset") for one in idle))
            await asyncio.gather(*(one.task for one in idle))

        if self._thread is None:
            raise RuntimeError(f"{self!r} is not started")
        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(_THREAD_TIMEOUT_S)

    # What it received.

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request read so far, in the order they came."""
        with self._changed:
            return list(self._requests)

    @property
    def open_connections(self) -> int:
        """How many sockets are open at this end."""
        with self._changed:
            return len(self._connections)

    @property
    def accepted_connections(self) -> int:
        """How many connections were ever accepted."""
        with self._changed:
            return self._accepted

    @property
    def tls_failures(self) -> list[str]:
        """One text for each failed handshake, as with a client that refuses the certificate."""
        with self._changed:
            return list(self._tls_failures)

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> list[RecordedRequest]:
        """Block until `count` requests have been read and return them.

        Raises:
            TimeoutError: there were fewer after `timeout` seconds.
        """
        if self._wait(lambda: len(self._requests) >= count, timeout):
            return self.requests
        raise TimeoutError(f"{len(self.requests)} of {count} requests came within {timeout} s")

    def wait_closed(self, timeout: float = 10.0) -> bool:
        """Block until no connection is open; False if one still is after `timeout` seconds."""
        return self._wait(lambda: not self._connections, timeout)

    def _wait(self, is_so: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(is_so, timeout)

    # What happens on the loop's thread.

    def _run(self, started: Future[int]) -> None:
        try:
            # A selector loop by name: the process may have made another kind its default.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._listen(started))
        except Exception as error:
            if started.done():
                self._failed(error)
            else:
                started.set_exception(error)

    async def _listen(self, started: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._loop_failed)
        self._stop = asyncio.Event()
        with socket.create_server((_HOST, self._port), backlog=1024) as listener:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, listener)
            started.set_result(listener.getsockname()[1])
            await self._stop.wait()
            self._loop.remove_reader(listener)
        await asyncio.gather(*self._opening)
        connections = list(self._connections)
        for one in connections:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in connections), return_exceptions=True)
        for one in connections:
            one.abort()  # a task cancelled before its first step has not cleaned up

    def _accept(self, listener: socket.socket) -> None:
        # Not asyncio's own server: that leaks a connection it has accepted while it is closed.
        try:
            accepted, _ = listener.accept()
        except OSError:  # gone again, or no descriptor left
            return
        # asyncio does this only for sockets that name their protocol; without it a chunk may wait
        # for the acknowledgement of the one before.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opening = self._loop.create_task(
            self._loop.connect_accepted_socket(self._new_connection, accepted)
        )
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def _new_connection(self) -> Connection:
        with self._changed:
            self._accepted += 1
            return Connection(self, self._accepted, self._context)

    def _respond(self, request: RecordedRequest) -> Iterator[Step]:
        with self._changed:
            self._read += 1
            request.number = self._read
            self._requests.append(request)
            self._changed.notify_all()
        answer = self._script.take(request)
        context = WireContext(
            request.method, request.keep_alive, lambda: self._provider.answer(request)
        )
        return wire(answer, context)

    def _connection_opened(self, connection: Connection) -> bool:
        with self._changed:
            if not self._stop.is_set():
                self._connections.add(connection)
            self._changed.notify_all()
            return connection in self._connections

    def _connection_closed(self, connection: Connection) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def _handshake_failed(self, why: str) -> None:
        with self._changed:
            self._tls_failures.append(why)
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        with self._changed:
            self._failures.append(error)

    def _loop_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._failed(
            error if isinstance(error, Exception) else RuntimeError(str(context["message"]))
        )
