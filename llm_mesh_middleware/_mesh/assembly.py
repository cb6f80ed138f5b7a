"""Composition: what a mesh is made of, from its settings."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from .._core.flow.exchange import ExchangePolicy
from .._core.http.forwarding import ForwardPolicy
from .._core.policy.access import AccessPolicy
from .._core.provider.health import ProviderStatus
from .._core.provider.upstream import Upstream
from .._core.routing.table import RoutingTable
from .._core.values.endpoint import TLSFiles
from .._engine.tls import TLSContexts
from .._telemetry.telemetry import Telemetry
from ..exceptions import ConfigError, Problem
from ..settings import MeshSettings
from .live_config import LiveTable, MeshStatus
from .notices import RefusedKeys

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = [
    "load_certificates",
    "make_access",
    "make_policy",
    "make_telemetry",
    "record_load",
    "upstreams",
]


def make_access(settings: MeshSettings) -> AccessPolicy:
    """Return the policy that decides who may use the mesh."""
    keys = {name: key.get_secret_value() for name, key in settings.client_keys.items()}
    return AccessPolicy.of(settings.access, keys)


def make_policy(settings: MeshSettings) -> ExchangePolicy:
    """Return what holds for every exchange, under a new random name for the mesh."""
    return ExchangePolicy(
        max_response_bytes=settings.max_response_bytes,
        forward=ForwardPolicy.extended(settings.forward_headers),
        show_routing=settings.response_headers,
        mesh_id=secrets.token_hex(8),
        key_refused=RefusedKeys(),
    )


def make_telemetry(
    settings: MeshSettings,
    live: LiveTable,
    *,
    health: Callable[[], Mapping[str, ProviderStatus]],
    has_http_spans: Callable[[], bool],
    tracer_provider: TracerProvider | None,
    meter_provider: MeterProvider | None,
    logger_provider: LoggerProvider | None,
    redact: Callable[[str], str] | None,
) -> Telemetry:
    """Return the mesh's own observer.

    Args:
        settings: what is recorded, and how.
        live: the configuration in use.
        health: returns the provider states, for gauges.
        has_http_spans: whether the HTTP client's own instrumentation makes a span of each attempt.
        tracer_provider: the application's, or None for the global one.
        meter_provider: the same for metrics.
        logger_provider: the same for events.
        redact: applied to each piece of recorded content.
    """
    telemetry = Telemetry(
        _version(),
        known_models=lambda: live.table.models,
        health=health,
        workload=settings.labels.get("app", "unknown"),
        namespace=settings.namespace,
        attempt_spans=settings.attempt_spans,
        http_client_spans=settings.http_client_spans,
        has_spans=settings.spans,
        has_metrics=settings.metrics,
        has_asm_metrics=settings.asm_metrics,
        has_chunk_metrics=settings.chunk_metrics,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        has_http_spans=has_http_spans,
        redact=redact,
    )
    telemetry.metrics.in_use(live.status.generation, live.status.loaded_at)
    return telemetry


def record_load(telemetry: Telemetry, status: MeshStatus) -> None:
    """Count an attempt to load the configuration, and record which one is in use."""
    is_success = status.state == "ok"
    telemetry.metrics.reloaded(is_success)
    if is_success:
        telemetry.metrics.in_use(status.generation, status.loaded_at)


def load_certificates(contexts: TLSContexts, table: RoutingTable, ca_file: object) -> None:
    """Read the trust stores and certificates of a table's providers.

    A trust store takes a while to read, and a file may be wrong: it is better found out when a
    configuration is loaded than by a request.

    Raises:
        ConfigError: a file cannot be used.
    """
    endpoints = [endpoint for each in upstreams(table) for endpoint in each.endpoints.now()]
    try:
        contexts.load({TLSFiles(), *(endpoint.tls for endpoint in endpoints)})
    except OSError as exc:
        message = f"{ca_file or 'a certificate file'} cannot be used: {exc.strerror or exc}"
        raise ConfigError([Problem("LLM_MESH_CA_FILE", 0, 0, "", message)]) from None


def upstreams(table: RoutingTable) -> Iterator[Upstream]:
    """Yield every provider of a table, once for each rule that names it."""
    for host in table.hosts:
        for rule in host.rules:
            for backend in rule.backends:
                yield backend.upstream


@cache  # reading it takes longer than making the rest of a mesh
def _version() -> str:
    return version("llm-mesh-middleware")
