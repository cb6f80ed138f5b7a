"""`llm-mesh serve`: the middleware around an app that has nothing else to offer."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

import click
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .._core.messages import ClientRequest, UpstreamRequest, error_object
from .._core.observer import Observation
from .._core.routing import Selection
from .._core.usage import Usage
from ..asgi import LLMMeshMiddleware, Receive, Scope, Send
from ..mesh import Mesh
from ..settings import MeshSettings, load_settings

__all__ = ["TargetProtocol", "create_app", "run"]

logger = logging.getLogger("llm_mesh.access")

_GRACE_S = 25  # for answers under way, below the 30 that Kubernetes allows


def run(config: Sequence[str], *, host: str, port: int, workers: int) -> None:
    """Serve until the process is told to end."""
    if config:
        os.environ["LLM_MESH_CONFIG"] = json.dumps(config)  # workers read it from there
    settings = load_settings()
    if not settings.config:
        raise click.UsageError("there is nothing to serve: give --config or set LLM_MESH_CONFIG")
    _check_config(settings)
    _check_address(host, port)
    _configure_logging()
    # uvicorn shuts down in good order and then raises the signal anew.
    signal.signal(signal.SIGTERM, _exit)
    uvicorn.run(
        "llm_mesh_middleware.cli.serve:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers if workers > 1 else None,
        http=TargetProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def create_app() -> LLMMeshMiddleware:
    """The sidecar's application, from `LLM_MESH_*`."""
    _configure_logging()
    return LLMMeshMiddleware(_not_ours, mesh=Mesh(observer=_AccessLog))


def _configure_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def _check_config(settings: MeshSettings) -> None:
    """A bad configuration ends the command before it listens; warnings are left to the workers."""
    logging.disable(logging.WARNING)
    try:
        Mesh(settings=settings)
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
    completed.
    """

    def on_headers_complete(self) -> None:
        """Let the app start, then give it the target as the client wrote it."""
        target = self.url
        if self.parser.get_method() == b"CONNECT":
            self.url = b"/"  # an authority is no URL to the parser, which would end the connection
        super().on_headers_complete()
        if not target.startswith((b"/", b"*")):
            self.scope["path"] = target.partition(b"?")[0].decode("latin-1")


async def _not_ours(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything that is not for a virtual host: health, and a refusal for the rest."""
    if scope["type"] != "http":
        return
    if scope["method"] == "CONNECT":
        status, body = 405, _refusal("this proxy opens no tunnels", "method_not_allowed")
    elif scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
        status, body = 200, b'{"status":"ok"}'
    else:
        status, body = (
            404,
            _refusal("this host is no virtual LLM host of the mesh", "route_not_found"),
        )
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 405:
        headers += [(b"allow", b"GET, POST"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refusal(message: str, code: str) -> bytes:
    return error_object(message, type="invalid_request_error", code=code)


class _AccessLog(Observation):
    """One line per exchange: what was asked, who served it, how it ended. No content, no header."""

    def __init__(self, request: ClientRequest) -> None:
        self._started = time.monotonic()
        self._request = request
        self._selection: Selection | None = None
        self._attempts = 0
        self._provider = "-"

    def selected(self, selection: Selection) -> None:
        self._selection = selection

    def sending(self, request: UpstreamRequest) -> None:
        self._attempts += 1
        self._provider = request.endpoint.provider_host

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        taken_ms = (time.monotonic() - self._started) * 1000
        route, rule = "-", "-"
        if self._selection is not None:
            route, rule = self._selection.route, self._selection.rule.name
        logger.info(
            "%s %r route=%s rule=%s provider=%s attempts=%d status=%s error=%s %.0f ms",
            self._request.method,
            self._request.path[:256],
            route,
            rule,
            self._provider,
            self._attempts,
            status or "-",
            type(error).__name__ if error is not None else "-",
            taken_ms,
        )
