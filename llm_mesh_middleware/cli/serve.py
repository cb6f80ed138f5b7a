"""`llm-mesh serve`: the middleware around an app that has nothing else to offer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import click
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .._core.values.messages import error_object
from .._telemetry.records.access_log import JSONFormatter, LineFormatter
from .._telemetry.setup import NO_METRICS, setup_telemetry
from ..asgi import LLMMeshMiddleware, Receive, Scope, Send
from ..exceptions import ConfigError
from ..mesh import Mesh, MeshStatus
from ..settings import KUBERNETES, MeshSettings, load_settings
from ..validation import validate
from .exposure import warn_if_exposed
from .signals import MARGIN_S, Supervisor, handle_signals, ignore_hangup

__all__ = ["TargetProtocol", "create_app", "run"]

# From the command to its workers.
_LOG_FORMAT = "_LLM_MESH_LOG_FORMAT"
_GRACE = "_LLM_MESH_GRACE"


def run(
    config: Sequence[str], *, host: str, port: int, workers: int, grace: float, log_format: str
) -> None:
    """Serve until the process is told to end."""
    if workers > 1 and "prometheus" in os.environ.get("OTEL_METRICS_EXPORTER", ""):
        raise click.UsageError(
            "OTEL_METRICS_EXPORTER=prometheus needs --workers 1, as workers count each for"
            " themselves and cannot share its port; use otlp with several"
        )
    if config:
        os.environ["LLM_MESH_CONFIG"] = json.dumps(config)  # workers read it from there
    os.environ[_LOG_FORMAT] = log_format
    os.environ[_GRACE] = str(grace)
    settings = load_settings()
    if not settings.config:
        raise click.UsageError("there is nothing to serve: give --config or set LLM_MESH_CONFIG")
    _check_config(settings)
    warn_if_exposed(settings.access, host)
    _check_address(host, port)
    # uvicorn shuts down in good order and then raises the signal anew.
    signal.signal(signal.SIGTERM, _exit)
    ignore_hangup()
    server = uvicorn.Config(
        "llm_mesh_middleware.cli.serve:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=TargetProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(grace) + MARGIN_S,
    )
    if workers > 1:
        Supervisor(server, sockets=[server.bind_socket()]).run()
        return
    with contextlib.suppress(KeyboardInterrupt):  # SIGINT, raised anew
        uvicorn.Server(server).run()


def create_app() -> LLMMeshMiddleware:
    """The sidecar's application, from `LLM_MESH_*`."""
    _log_calls(os.environ.get(_LOG_FORMAT, "text"))
    try:
        end_telemetry = setup_telemetry()
    except RuntimeError as exc:
        sys.exit(f"llm-mesh: {exc}")
    own = _OwnApp(end_telemetry)
    own.middleware = LLMMeshMiddleware(own)
    return own.middleware


def _log_calls(log_format: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if log_format == "json" else LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _check_config(settings: MeshSettings) -> None:
    """End the command before it listens if the configuration is bad or serves nothing.

    A cluster may get its routes later. This mesh takes no call, and its instruments must not take
    the names of the one that does; warnings are left to the workers.
    """
    logging.disable(logging.WARNING)
    try:
        mesh = Mesh(settings=settings, meter_provider=NO_METRICS)
        mesh.close()
        if not mesh.table.hosts and not settings.config[0].startswith(KUBERNETES):
            raise ConfigError(validate(None, settings).problems)
    finally:
        logging.disable(logging.NOTSET)


def _check_address(host: str, port: int) -> None:
    """Bind once: uvicorn would report a failure in the midst of its own start-up."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as exc:
        # Its own text repeats the address, and the resolver's error numbers are not errno's.
        is_unknown = isinstance(exc.__context__, socket.gaierror)
        reason = "unknown host" if is_unknown else os.strerror(exc.errno or 0)
        raise click.ClickException(f"cannot listen on {host} port {port}: {reason}") from None


def _exit(signum: int, frame: object) -> NoReturn:
    sys.exit(0)


class TargetProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but the app sees an absolute or authority-form target whole.

    The parser keeps the path only, and a proxy must go by the target, not by the Host field (RFC
    9112 3.2.2). The request's task was created but has not run yet, so its scope may still be
    completed. The sockets that uvicorn shares among workers lack `TCP_NODELAY`, which would hold
    answers back for 40 ms.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send what there is at once."""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def on_headers_complete(self) -> None:
        """Let the app start, then give it the target as the client wrote it."""
        target = self.url
        if self.parser.get_method() == b"CONNECT":
            self.url = b"/"  # an authority is no URL to the parser, which would end the connection
        super().on_headers_complete()
        if not target.startswith((b"/", b"*")):
            self.scope["path"] = target.partition(b"?")[0].decode("latin-1")


class _OwnApp:
    """What is for no virtual host, and the life of the process."""

    middleware: LLMMeshMiddleware

    def __init__(self, end_telemetry: Callable[[], None]) -> None:
        self._end_telemetry = end_telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """By the time of the shutdown every request is over, and what it has told is on record.

        Not left to `atexit`: uvicorn ends the process by the signal that it was sent.
        """
        await receive()
        handle_signals(self.middleware, grace_s=float(os.environ.get(_GRACE, "0")))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._end_telemetry)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, send: Send) -> None:
        """Health, and a refusal for everything else."""
        headers = [(b"content-type", b"application/json")]
        if scope["method"] == "CONNECT":
            status, body = 405, _refusal("this proxy opens no tunnels", "method_not_allowed")
            headers += [(b"allow", b"GET, POST"), (b"connection", b"close")]
        elif scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            status, body = 200, _health(self.middleware.mesh.status())
            headers += [(b"cache-control", b"no-store")]
        else:
            message = "this host is no virtual LLM host of the mesh"
            status, body = 404, _refusal(message, "route_not_found")
        headers += [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _health(status: MeshStatus) -> bytes:
    """A mesh with an old configuration is stale and alive: to restart it would not help."""
    problems = [
        {"place": problem.place, "text": problem.text, "severity": problem.severity}
        for problem in status.problems
    ]
    told = {"status": status.state, "generation": status.generation, "problems": problems}
    return json.dumps(told, separators=(",", ":")).encode()


def _refusal(message: str, code: str) -> bytes:
    return error_object(message, type="invalid_request_error", code=code)
