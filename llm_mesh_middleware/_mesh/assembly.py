"""The parts of a mesh, put together.

settings ─┬─> access, settings of exchanges
          ├─> TLS contexts ──> HTTP clients ─┐
source ───┴─> live configuration             ├──> serving
              │ adopt: read certificates     │
              └──> telemetry ──> observers ──┘
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING

from .. import __version__
from .._core.caching.store import CacheStore
from .._core.flow.attempts.context import ExchangeSettings
from .._core.flow.observer import Observer
from .._core.flow.state import MeshState
from .._core.http.forwarding import ForwardPolicy
from .._core.limiting.claims import Store
from .._core.policy.access import AccessPolicy
from .._core.provider.health import ProviderStatus
from .._core.provider.servers.metrics_page import ServerLoad
from .._core.routing.table import RoutingTable
from .._core.values.endpoint import TLSFiles
from .._engine.http.clients import UpstreamClients
from .._engine.ports.endpoint_picker import EndpointPickers
from .._engine.ports.opening import (
    ClosableStore,
    SharedStore,
    open_cache,
    open_responses,
    open_store,
)
from .._engine.tls import TLSContexts
from .._telemetry.guard import GuardedObserver
from .._telemetry.telemetry import Telemetry
from ..exceptions import ConfigError, Problem
from ..settings import MeshSettings
from ..sources import ClosableSource, Config, source_of
from .budget_log import log_budget
from .checking import Checking
from .ejection_log import log_change, log_server
from .live_config import LiveTable, MeshStatus
from .notices import RefusedKeys, UnreadResponses, log_dropped
from .recording import Recording
from .serving import Serving

if TYPE_CHECKING:
    import httpx

__all__ = ["Assembly"]


class Assembly:
    """The parts of one mesh; it prepares them for a new configuration and for a forked process."""

    def __init__(
        self,
        config: Config | None,
        settings: MeshSettings,
        *,
        transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None,
        observer: Observer | None,
        recording: Recording,
        environ: Mapping[str, str] | None,
        rng: Callable[[], float],
        store: Store | None,
    ) -> None:
        """As `Mesh`.

        Raises:
            ConfigError: manifests or settings have errors; it has all of them.
        """
        self._settings = settings
        self._contexts = TLSContexts(settings.ca_file)
        self._store = _open_store(settings) if store is None else store
        self._own_store = self._store if store is None else None
        self._cache = _open_cache(settings)
        self._responses = _open_responses(settings)
        self._state = self._make_state()
        self._clients = UpstreamClients(
            self._contexts,
            uses_httpx=settings.upstream_client == "httpx",
            trust_env=settings.trust_env,
            transport=transport,
        )
        self._checking = Checking(self._clients, self._state.health, log_server)
        source = source_of(config, settings, environ)
        self._own_source = source if source is not config else None
        self.access = _access(settings)
        self.live = LiveTable(
            source, settings, environ=environ, adopt=self._adopt, on_load=self._record
        )
        self.telemetry = self._make_telemetry(recording)
        own = self.telemetry.observe
        self.observer = GuardedObserver((own,) if observer is None else (own, observer))
        self.serving = Serving(
            settings=_exchange_settings(settings),
            state=self._state,
            clients=self._clients,
            checking=self._checking,
            observer=self.observer.observe,
            rng=rng,
            keeps_content=self.telemetry.wants_content,
            max_request_bytes=settings.max_request_bytes,
        )

    def health(self) -> Mapping[str, ProviderStatus]:
        """Return the state of each provider that was called or checked, by provider host."""
        return self._state.health.statuses(monotonic())

    def servers(self) -> Mapping[str, tuple[ProviderStatus, ServerLoad | None]]:
        """Return the state and the load of model servers, by provider host and address."""
        return self._state.health.servers(monotonic())

    def close(self) -> None:
        """Close the connections of threads, the stores and the source, if the mesh made them."""
        self._checking.stop()
        self.serving.close()
        self._pickers.close()
        for store in (self._own_store, self._cache, self._responses):
            if isinstance(store, ClosableStore):
                store.close()
        if isinstance(self._own_source, ClosableSource):
            self._own_source.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and stop checking servers."""
        self._checking.stop()
        await self.serving.aclose()
        await self._pickers.aclose()
        for store in (self._own_store, self._cache, self._responses):
            if isinstance(store, ClosableStore):
                await store.aclose()

    def begin_process(self) -> None:
        """Reset per-process state in a forked child."""
        self.live.begin_process()
        self._pickers.forget()
        self._state = self._make_state()
        self._checking.begin_process(self._state.health)
        self.serving.begin_process(self._state)

    def _make_state(self) -> MeshState:
        self._pickers = EndpointPickers(self._settings.ca_file)
        return MeshState(
            threading.RLock,
            self._store,
            on_change=log_change,
            cache=self._cache,
            on_budget=log_budget,
            on_server=log_server,
            pickers=self._pickers,
            responses=self._responses,
        )

    def _adopt(self, table: RoutingTable) -> None:
        """Prepare for `table`: read its certificates, and drop removed providers and routes.

        No request waits for a trust store to be read, or meets an invalid file.
        """
        rules = [rule for host in table.hosts for rule in host.rules]
        upstreams = [upstream for rule in rules for upstream in rule.upstreams]
        endpoints = {end for each in upstreams for end in each.endpoints.now()}
        if not self._clients.is_given:
            try:
                self._contexts.load({TLSFiles(), *(endpoint.tls for endpoint in endpoints)})
                pickers = (each.picker for each in upstreams if each.picker is not None)
                self._pickers.load({picker.tls for picker in pickers if picker.tls is not None})
            except OSError as exc:
                file = self._settings.ca_file or "a certificate file"
                message = f"{file} cannot be used: {exc.strerror or exc}"
                raise ConfigError([Problem("LLM_MESH_CA_FILE", 0, 0, "", message)]) from None
        self._state.keep(
            providers={each.identity for each in upstreams},
            routes={host.route for host in table.hosts},
            mirrors=[mirror for rule in rules for mirror in rule.mirrors],
            endpoints=endpoints,
        )
        self._checking.adopt(backend.upstream for rule in rules for backend in rule.backends)

    def begin_checks(self) -> None:
        """Begin the checks of servers now, rather than with the first request."""
        self._checking.begin()

    def _make_telemetry(self, recording: Recording) -> Telemetry:
        settings = self._settings
        telemetry = Telemetry(
            __version__,
            known_models=lambda: self.live.table.models,
            health=self.health,
            is_store_away=_is_away(self._store),
            workload=settings.labels.get("app", "unknown"),
            namespace=settings.namespace,
            attempt_spans=settings.attempt_spans,
            http_client_spans=settings.http_client_spans,
            has_spans=settings.spans,
            has_server_spans=settings.server_spans,
            has_metrics=settings.metrics,
            has_asm_metrics=settings.asm_metrics,
            has_chunk_metrics=settings.chunk_metrics,
            cost_attributes=settings.cost_attributes,
            tracer_provider=recording.tracer_provider,
            meter_provider=recording.meter_provider,
            logger_provider=recording.logger_provider,
            has_http_spans=self._has_http_spans,
            needs_context=self._clients.runs_foreign_code,
            redact=recording.redact,
        )
        telemetry.metrics.in_use(self.live.status.generation, self.live.status.loaded_at)
        return telemetry

    def _record(self, status: MeshStatus) -> None:
        """Record a reload."""
        is_success = status.state == "ok"
        self.telemetry.metrics.reloaded(is_success)
        if is_success:
            self.telemetry.metrics.in_use(status.generation, status.loaded_at)

    def _has_http_spans(self) -> bool:
        """Return whether the HTTP client's own instrumentation makes a span of each attempt."""
        return self._settings.http_client_spans == "auto" and self._clients.make_spans()


def _open_store(settings: MeshSettings) -> Store:
    url = settings.store.get_secret_value()
    return open_store(url, timeout_s=settings.store_timeout, prefix=settings.store_prefix)


def _is_away(store: Store | None) -> Callable[[], bool] | None:
    """Return a function that says whether the store is away, or None if it is in memory."""
    return (lambda: store.is_away) if isinstance(store, SharedStore) else None


def _open_cache(settings: MeshSettings) -> CacheStore:
    url = (settings.cache_store or settings.store).get_secret_value()
    return open_cache(url, timeout_s=settings.store_timeout, prefix=settings.store_prefix)


def _open_responses(settings: MeshSettings) -> CacheStore | None:
    url = settings.store.get_secret_value()
    return open_responses(url, timeout_s=settings.store_timeout, prefix=settings.store_prefix)


def _access(settings: MeshSettings) -> AccessPolicy:
    keys = {name: key.get_secret_value() for name, key in settings.client_keys.items()}
    return AccessPolicy.of(settings.access, keys)


def _exchange_settings(settings: MeshSettings) -> ExchangeSettings:
    return ExchangeSettings(
        max_response_bytes=settings.max_response_bytes,
        forward=ForwardPolicy.extended(settings.forward_headers),
        show_routing=settings.response_headers,
        show_cost=settings.cost_header,
        mesh_id=secrets.token_hex(8),
        key_refused=RefusedKeys(),
        fields_dropped=log_dropped,
        passed_unread=UnreadResponses(),
    )
