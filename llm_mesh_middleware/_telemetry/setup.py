"""Setting up the OpenTelemetry SDK for a process that has no other owner of it."""

from __future__ import annotations

import os
from collections.abc import Callable

from opentelemetry import _logs, metrics, trace

__all__ = ["setup_telemetry"]

_SIGNALS = ("TRACES", "METRICS", "LOGS")
_HINT = "install llm-mesh-middleware[otlp], or leave {} unset"


def setup_telemetry(*, service_name: str = "llm-mesh") -> Callable[[], None]:
    """Set up traces, metrics and logs from the standard `OTEL_*` variables.

    Everything is read by the SDK's own configurator: `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` (`otlp`,
    `console`, `prometheus`, `none`), `OTEL_EXPORTER_OTLP_ENDPOINT` and `_PROTOCOL` (`grpc`,
    `http/protobuf`), `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`. Two things differ: the
    exporters are `otlp` only where an endpoint is set, since a process without a collector should
    not look for one, and the service has a name.

    Args:
        service_name: `service.name` where `OTEL_SERVICE_NAME` has none.

    Returns:
        What flushes and ends the exporters; call it before the process ends.

    Raises:
        RuntimeError: an exporter that is asked for is not installed.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return lambda: None
    os.environ.setdefault("OTEL_SERVICE_NAME", service_name)
    for signal in _SIGNALS:
        names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        if any(os.environ.get(name) for name in names):
            os.environ.setdefault(f"OTEL_{signal}_EXPORTER", "otlp")
    # Imported here: the SDK is for processes that set it up, not for everyone who imports the mesh.
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator

    class Configurator(_OTelSDKConfigurator):
        """The SDK's configurator is meant to be subclassed, not used as it is."""

    try:
        Configurator().configure()  # type: ignore[no-untyped-call]
    except RuntimeError as exc:  # "Requested component ... not found in entry points"
        raise RuntimeError(f"{exc}: {_HINT.format('OTEL_*_EXPORTER')}") from exc
    return _shutdown


def _shutdown() -> None:
    """End the providers; each flushes what it holds, within its exporter's own time limit."""
    providers: tuple[object, ...] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    for provider in providers:
        shutdown = getattr(provider, "shutdown", None)  # the API's own have none
        if shutdown is not None:
            shutdown()
