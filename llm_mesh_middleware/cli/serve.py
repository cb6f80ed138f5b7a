"""`llm-mesh serve`: the middleware around an app that serves only health checks."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import math
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import click
import msgspec
import uvicorn

from .._schema.wording import suggest
from .._telemetry.records.access_log import JSONFormatter, LineFormatter, access_logger
from .._telemetry.setup import NO_METRICS, setup_telemetry
from ..asgi import ASGIApp, LLMMeshMiddleware
from ..exceptions import ConfigError, Problem
from ..mesh import Mesh
from ..settings import KUBERNETES, MeshSettings, load_settings
from ..validation import validate
from .serving.binding import bind
from .serving.direct import Direct, Sidecar
from .serving.exposure import warn_if_exposed
from .serving.http import SidecarProtocol
from .serving.log import BufferedHandler
from .serving.origins import OriginGuard
from .serving.own_app import OwnApp
from .serving.short_line import ShortFormatter
from .serving.signals import MARGIN_S, Supervisor, ignore_hangup

__all__ = ["create_app", "run"]

# Variables from the command to its workers.
_LOG_FORMAT = "_LLM_MESH_LOG_FORMAT"
_FORMATTERS = {"json": JSONFormatter, "logfmt": LineFormatter}
_NO_ACCESS_LOG = "_LLM_MESH_NO_ACCESS_LOG"
_GRACE = "_LLM_MESH_GRACE"
_VIEW = "_LLM_MESH_VIEW"


def run(
    config: Sequence[str],
    *,
    host: str,
    port: int,
    workers: int,
    grace: float,
    log_format: str,
    limit_connections: int,
    access_log: bool = True,
    view: tuple[str, int] | None = None,
    view_hosts: tuple[str, ...] = (),
    view_trace_url: str | None = None,
) -> None:
    """Serve until a signal ends the process."""
    if workers > 1 and "prometheus" in os.environ.get("OTEL_METRICS_EXPORTER", ""):
        raise click.UsageError(
            "OTEL_METRICS_EXPORTER=prometheus needs --workers 1, because each worker counts"
            " alone, and only one can use its port; use otlp with several"
        )
    os.environ[_LOG_FORMAT] = log_format  # workers read them from there, like the configuration
    os.environ[_GRACE] = str(grace)
    if config:
        os.environ["LLM_MESH_CONFIG"] = json.dumps(config)
    if not access_log:
        os.environ[_NO_ACCESS_LOG] = "1"
    settings = load_settings()
    if not settings.config:
        raise click.UsageError("there is nothing to serve: give --config or set LLM_MESH_CONFIG")
    _check_config(settings)
    warn_if_exposed(settings, host)
    bind(host, port, "listen on").close()  # to report a failure before uvicorn starts
    signal.signal(signal.SIGTERM, _exit)  # uvicorn raises the signal again after its shutdown
    ignore_hangup()
    server = _server(host, port, workers, grace, limit_connections)
    if view is None:
        _run(server, [server.bind_socket()] if workers > 1 else None)
        return
    with _viewed(view, view_hosts, view_trace_url, workers) as listener:
        _run(server, [server.bind_socket(), listener])


def _server(
    host: str, port: int, workers: int, grace: float, limit_connections: int
) -> uvicorn.Config:
    return uvicorn.Config(
        "llm_mesh_middleware.cli.serve:create_app",
        factory=True,
        interface="asgi3",  # the app is an object, not a coroutine function
        host=host,
        port=port,
        workers=workers,
        http=SidecarProtocol,
        # One above the limit, which `SidecarProtocol` enforces: uvicorn would refuse requests at
        # it.
        limit_concurrency=limit_connections + 1 if limit_connections else None,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(grace) + MARGIN_S,
    )


def _run(server: uvicorn.Config, sockets: list[socket.socket] | None) -> None:
    if server.workers > 1 and sockets is not None:
        gc.enable()
        Supervisor(server, sockets=sockets).run()
        return
    with contextlib.suppress(KeyboardInterrupt):  # SIGINT, raised again
        uvicorn.Server(server).run(sockets)


@contextlib.contextmanager
def _viewed(
    address: tuple[str, int], names: tuple[str, ...], trace_url: str | None, workers: int
) -> Iterator[socket.socket]:
    """Bind the view's listener, and pass its options to the workers."""
    from .serving.view_listener import bind_view

    listener, options = bind_view(address, names, trace_url, workers=workers)
    os.environ[_VIEW] = msgspec.json.encode(options).decode()
    try:
        yield listener
    finally:
        listener.close()
        if options.folder is not None:
            shutil.rmtree(options.folder, ignore_errors=True)


def create_app() -> ASGIApp:
    """Return the sidecar's application, configured by `LLM_MESH_*`."""
    log = _log_calls(os.environ.get(_LOG_FORMAT, "text"))
    try:
        end_telemetry = setup_telemetry()
    except RuntimeError as exc:
        sys.exit(f"llm-mesh: {exc}")
    settings = load_settings()
    grace_s = float(os.environ.get(_GRACE, "0"))
    own = OwnApp(end_telemetry, log, grace_s=grace_s, default_host=settings.default_host)
    own.middleware = LLMMeshMiddleware(own, settings=settings)
    app: ASGIApp = OriginGuard(own.middleware, settings.origins)
    view_port = None
    if _VIEW in os.environ:
        from .serving.view_listener import ViewListener, ViewOptions

        options = msgspec.json.decode(os.environ[_VIEW], type=ViewOptions)
        app, view_port = ViewListener(app, own.middleware, options), options.port
    direct = Direct(own.middleware, default_host=settings.default_host, view_port=view_port)
    return Sidecar(app, direct)


def _log_calls(log_format: str) -> BufferedHandler:
    handler = BufferedHandler()
    # No line shows these, and each costs a look-up per record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler.setFormatter(_formatter(log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if _NO_ACCESS_LOG in os.environ:
        access_logger.setLevel(logging.WARNING)
    return handler


def _formatter(log_format: str) -> logging.Formatter:
    if log_format in _FORMATTERS:
        return _FORMATTERS[log_format]()
    is_plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return ShortFormatter(is_terminal=sys.stderr.isatty() and not is_plain)


def _check_config(settings: MeshSettings) -> None:
    """End the command before it listens if the configuration is invalid or serves nothing.

    A cluster may get its routes later. This mesh serves no call, so it has no instruments, whose
    names would collide with those of the real one. Workers log the warnings.
    """
    logging.disable(logging.WARNING)
    try:
        mesh = Mesh(settings=settings, meter_provider=NO_METRICS)
        mesh.close()
        if not mesh.hosts and not settings.config[0].startswith(KUBERNETES):
            raise ConfigError(validate(None, settings).problems)
        if settings.default_host is not None and mesh.hosts:
            _check_default_host(settings.default_host, mesh)
    finally:
        logging.disable(logging.NOTSET)


def _check_default_host(name: str, mesh: Mesh) -> None:
    if mesh.find(name.encode()) is None:
        known = suggest(name, [host.name for host in mesh.hosts])
        message = f"no virtual host {name!r}; {known}"
        raise ConfigError([Problem("LLM_MESH_DEFAULT_HOST", 0, 0, "", message)])


def _exit(signum: int, frame: object) -> NoReturn:
    sys.exit(0)
