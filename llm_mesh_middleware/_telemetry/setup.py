"""Sets up the OpenTelemetry SDK in a process that has none yet."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from opentelemetry import _logs, metrics, trace

__all__ = ["NO_METRICS", "SHUTDOWN_S", "setup_telemetry"]

logger = logging.getLogger("llm_mesh_middleware")

SHUTDOWN_S = 5.0
"""The time that a process waits at its end for all its telemetry to be delivered."""

NO_METRICS = metrics.NoOpMeterProvider()
"""For a mesh that only inspects its configuration."""

_SIGNALS = ("TRACES", "METRICS", "LOGS")


def setup_telemetry(*, service_name: str = "llm-mesh") -> Callable[[], None]:
    """Set up traces, metrics and logs from the standard `OTEL_*` variables.

    The SDK's own configurator reads them: `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` (`otlp`, `console`,
    `none`; for metrics also `prometheus`, with `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT`),
    `OTEL_EXPORTER_OTLP_ENDPOINT` and `_PROTOCOL` (`grpc`, `http/protobuf`),
    `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_CONFIG_FILE`. Two things differ: the
    exporters are `otlp` only where an endpoint is set, since a process without a collector should
    not look for one, and the service has a name.

    Nothing is set up if no variable configures an export, so that no call pays for spans that are
    dropped, or if the process has an SDK already, such as that of `opentelemetry-instrument`.

    Args:
        service_name: `service.name` where `OTEL_SERVICE_NAME` has none.

    Returns:
        A function that delivers what is pending and shuts the exporters down, within five seconds
        even if a collector hangs. Call it before the process ends; a second call does nothing.

    Raises:
        RuntimeError: a configured exporter is not installed or cannot start, or a variable has a
            value that the SDK cannot use.
    """
    if _providers() or not _wants_export(os.environ):
        return _nothing
    os.environ.setdefault("OTEL_SERVICE_NAME", service_name)
    # Imported here: the SDK is for processes that set it up, not for everyone who imports the mesh.
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator

    class Configurator(_OTelSDKConfigurator):
        """The SDK's configurator is meant to be subclassed, not used as it is."""

    try:
        Configurator().configure()  # type: ignore[no-untyped-call]
    except RuntimeError as exc:  # "Requested component ... not found in entry point ..."
        hint = "install llm-mesh-middleware[otlp] or correct OTEL_*_EXPORTER and _PROTOCOL"
        raise RuntimeError(f"telemetry cannot be set up: {exc}; {hint}") from exc
    except OSError as exc:
        hint = "change OTEL_EXPORTER_PROMETHEUS_HOST or OTEL_EXPORTER_PROMETHEUS_PORT"
        raise RuntimeError(f"the Prometheus endpoint cannot listen: {exc}; {hint}") from exc
    except Exception as exc:  # exporters have errors of their own for values that they cannot use
        raise RuntimeError(
            f"telemetry cannot be set up: {exc}; correct the OTEL_* variables"
        ) from exc
    from .owned.adoption import adopt

    adopt(is_from_environ=True)
    return functools.partial(_shutdown, _providers())


def _nothing() -> None:
    """Do nothing: nothing was set up."""


def _wants_export(environ: MutableMapping[str, str]) -> bool:
    """Return whether anything is exported; set the exporter if only an endpoint is given."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    for signal in _SIGNALS:
        names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        if any(environ.get(name) for name in names) and not environ.get(f"OTEL_{signal}_EXPORTER"):
            environ[f"OTEL_{signal}_EXPORTER"] = "otlp"
    chosen = [environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() for signal in _SIGNALS]
    return any(name not in ("", "none") for name in chosen) or bool(environ.get("OTEL_CONFIG_FILE"))


def _providers() -> list[Any]:
    """Return the SDK's providers of this process; the API's own cannot be shut down."""
    found = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    return [provider for provider in found if hasattr(provider, "shutdown")]


def _shutdown(providers: list[Any]) -> None:
    """Shut the providers down concurrently: each may take its own timeout, of up to 30 s."""
    deadline = time.monotonic() + SHUTDOWN_S
    threads = [
        threading.Thread(target=_end, args=(provider,), name="telemetry-shutdown", daemon=True)
        for provider in providers
    ]
    for provider in providers:  # the SDK would do it again, and warn if the first is still busy
        atexit.unregister(provider.shutdown)
    providers.clear()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        logger.warning("telemetry was not delivered within %g s; the rest is lost", SHUTDOWN_S)


def _end(provider: Any) -> None:
    try:
        provider.shutdown()
    except Exception as exc:  # whatever an exporter raises, the process is about to end
        logger.warning("telemetry did not shut down: %s", exc)
