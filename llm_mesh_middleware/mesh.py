"""The mesh itself: configuration made ready, shared by any number of adapters."""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from time import monotonic, time
from typing import TYPE_CHECKING

from msgspec.structs import replace as struct_replace

from ._core.explaining.explanation import Explanation
from ._core.flow.exchange import ExchangePolicy, exchange
from ._core.flow.observer import Observer
from ._core.flow.policies import Policy
from ._core.flow.reply import Flow
from ._core.flow.serving import Addressed, Entrance, serve
from ._core.flow.state import MeshState
from ._core.http.forwarding import ForwardPolicy
from ._core.policy.access import AccessPolicy
from ._core.provider.health import ProviderStatus
from ._core.routing.table import RoutingTable, VirtualHost
from ._core.values.endpoint import TLSFiles
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest
from ._core.values.steps import AsyncPort, Port
from ._engine.drivers.async_driver import adrive
from ._engine.drivers.delivery import AsyncDelivery, Delivery
from ._engine.drivers.driver import drive
from ._engine.http.clients import UpstreamClients
from ._engine.tasks.background import AsyncBackground, Background
from ._engine.tasks.cancel_scope import CancelScope
from ._engine.tls import TLSContexts
from ._forks import follow_forks
from ._mesh.attributes import (
    attributes_for,
    check_attributes,
    source_for,
    stated,
    stated_by,
)
from ._mesh.ejection_log import log_change
from ._mesh.live_config import LiveTable, MeshStatus, compile_source
from ._mesh.notices import RefusedKeys
from ._mesh.seldom import Seldom
from ._telemetry.guard import GuardedObserver
from ._telemetry.telemetry import Telemetry
from .exceptions import (
    AnswerableError,
    ClientDisconnected,
    ConfigError,
    NoRouteMatched,
    Problem,
)
from .settings import MeshSettings, load_settings
from .sources import ClosableSource, Config, source_of

if TYPE_CHECKING:
    import httpx
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Config", "Mesh", "MeshStatus", "ProviderStatus", "compile_source"]

logger = logging.getLogger("llm_mesh_middleware")


def _client_left() -> Exception:
    return ClientDisconnected("the client went away")


class Mesh:
    """Providers and routes of one configuration, and the connections to call them with.

    Safe to share between adapters, threads and event loops, and to make before a fork: connections
    are opened on first use, per process and event loop.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        settings: MeshSettings | None = None,
        transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None = None,
        observer: Observer | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        redact: Callable[[str], str] | None = None,
        environ: Mapping[str, str] | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        """Read and compile the configuration.

        Args:
            config: files or directories of manifests, `LLMProvider` and `LLMRoute` objects, or a
                source of one's own; by default what `settings.config` names.
            settings: by default read from `LLM_MESH_*`.
            transport: an httpx transport that carries every upstream call, such as a
                `MockTransport` in a test; what it trusts and connects to is then its business. An
                asynchronous one serves `asend` only, a synchronous one `send` only.
            observer: told of every exchange, beside the mesh's own telemetry.
            tracer_provider: where spans go; by default OpenTelemetry's global one.
            meter_provider: where metrics go; by default OpenTelemetry's global one.
            logger_provider: where events go; by default OpenTelemetry's global one.
            redact: what each piece of content passes on its way into a record, where
                `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` has content recorded.
            environ: where `${NAME}` and `apiKeyFrom.env` are looked up; by default the process's
                own environment. Settings, and a source of one's own, are not read from it.
            rng: numbers in [0, 1) for weighted choices; give a seeded one to repeat a run.

        Raises:
            ConfigError: with everything that is wrong with manifests and settings.
        """
        self.settings = settings if settings is not None else load_settings()
        self.access = _access(self.settings)
        self._policy = _policy(self.settings)
        self._rng = rng
        self._warnings = Seldom()
        self._owner = object()  # of facts: a context that outlives the mesh must not keep it
        self._contexts = TLSContexts(self.settings.ca_file)
        self._state = MeshState(threading.RLock, log_change)
        self._background = Background()
        self._async_background = AsyncBackground()
        self._clients = UpstreamClients(
            self._contexts,
            uses_httpx=self.settings.upstream_client == "httpx",
            trust_env=self.settings.trust_env,
            transport=transport,
        )
        source = source_of(config, self.settings, environ)
        self._own_source = source if source is not config else None
        self._live = LiveTable(
            source, self.settings, environ=environ, adopt=self._adopt, told=self._record
        )
        self._telemetry = self._make_telemetry(
            tracer_provider, meter_provider, logger_provider, redact
        )
        observers = (self._telemetry,) if observer is None else (self._telemetry, observer)
        self._observer = GuardedObserver(observers)
        self._outbound = self.entrance()
        follow_forks(self)

    @property
    def table(self) -> RoutingTable:
        """The newest configuration that can be used; at most as old as the reload interval."""
        return self._looked_after().table

    def find(self, host: bytes) -> VirtualHost | None:
        """The virtual host that a raw Host value names; None if it is not the mesh's.

        What it returns belongs to one version of the configuration and stays usable.
        """
        live = self._live  # not by a call: this is run for every request of the application
        if monotonic() >= live.due_at:
            live.look()
        return live.table.find(host)

    def status(self) -> MeshStatus:
        """Which configuration is in use, what is wrong with the newest, how the providers do."""
        return replace(self._looked_after().status, providers=self.health())

    def reload(self) -> MeshStatus:
        """Read the configuration now, changed or not.

        Never raises for what is wrong with it: the last good one then stays in use, and the status
        says so. May be called by any thread and by a signal handler.
        """
        self._live.reload()
        return self.status()

    def attributes(self, **facts: str) -> AbstractContextManager[None]:
        """Facts about the calls that are made inside, for `attributes` of matches and telemetry.

        They hold where the context is carried: in this task or thread and those that copy its
        context, as `asyncio` and `asyncio.to_thread` do. A `threading.Thread` begins without one
        (but where Python's `thread_inherit_context` is set); give it
        `contextvars.copy_context().run` as its target. Of nested ones the inner goes before, and
        before both goes what an adapter knows of a request.

        Raises:
            TypeError: a fact is not text.
        """
        check_attributes(facts)
        return stated(self._owner, facts)

    def stating(self, port: Port | AsyncPort, native: object) -> AbstractContextManager[None]:
        """As `attributes`, but `port` is asked for them, with `native`, when a call is made.

        What `attributes` states inside overrides what the port returns. For adapters.
        """
        return stated_by(self._owner, (port, native))

    async def asend(
        self,
        host: VirtualHost,
        request: ClientRequest,
        *,
        why: Callable[[], Exception] = _client_left,
    ) -> AsyncDelivery:
        """Serve a request that is addressed to `host`; the caller closes what it gets.

        Args:
            host: what `find` returned.
            request: the client's request, its body complete.
            why: returns the reason for a cancellation of the calling task; by default the client
                has left.

        Raises:
            RequestError: the request is at fault.
            UpstreamError: the provider is at fault.
        """
        return await self.arun(self._exchange(host, request), why=why)

    def send(
        self, host: VirtualHost, request: ClientRequest, *, scope: CancelScope | None = None
    ) -> Delivery:
        """The synchronous twin of `asend`, in the calling thread and without an event loop.

        Args:
            host: as for `asend`.
            request: as for `asend`.
            scope: cancel it from another thread, and the exchange ends as if the client had left.
        """
        return self.run(self._exchange(host, request), scope=scope)

    def entrance(
        self,
        *,
        access: Policy | None = None,
        attributes: Port | AsyncPort | None = None,
        keepalive_s: float = 0.0,
    ) -> Entrance:
        """Return what an adapter serves its requests with.

        Args:
            access: decides who may use the mesh; None for calls of the application itself.
            attributes: returns the application's facts about a request.
            keepalive_s: the longest silence of a stream, 0 for no limit.
        """
        return Entrance(
            access=access,
            attributes=attributes,
            max_request_bytes=self.settings.max_request_bytes,
            refused=self.refuse,
            proceed=partial(self._exchange, keepalive_s=keepalive_s),
        )

    def outgoing(self, addressed: Addressed, request: ClientRequest) -> Flow:
        """Return the flow of a call that the application itself makes; for adapters.

        Args:
            addressed: the virtual host, and every name that the request gives it.
            request: the request, its body complete.
        """
        source = source_for(self._owner)
        if source is None:
            return serve(self._outbound, addressed, request, None)
        port, native = source
        request = struct_replace(request, native=native, attributes=attributes_for(self._owner))
        return serve(self.entrance(attributes=port), addressed, request, None)

    async def arun(
        self, flow: Flow, *, why: Callable[[], Exception] = _client_left
    ) -> AsyncDelivery:
        """Run a flow in the running event loop; for adapters."""
        return await adrive(flow, self._clients.of_loop(), self._async_background, why)

    def run(self, flow: Flow, *, scope: CancelScope | None = None) -> Delivery:
        """Run a flow in the calling thread; for adapters."""
        return drive(flow, self._clients.of_process(), self._background, scope or CancelScope())

    def refuse(self, host: VirtualHost, request: ClientRequest, error: AnswerableError) -> None:
        """Tell observers of a request that is refused before it is sent.

        Args:
            host: the virtual host that it is addressed to.
            request: what is known of it; there may be no body yet.
            error: why it is refused, such as a missing client key.
        """
        self._observer(self._addressed(host, request)).ended(error.status, error, None)

    def _addressed(self, host: VirtualHost, request: ClientRequest) -> ClientRequest:
        """The request with its host's name, and the facts that the context states."""
        stated = attributes_for(self._owner)
        attributes = {**stated, **request.attributes} if stated else request.attributes
        return struct_replace(
            request,
            host=host.name,
            attributes=attributes,
            keeps_content=self._telemetry.wants_content,
        )

    def _exchange(
        self, host: VirtualHost, request: ClientRequest, *, keepalive_s: float = 0.0
    ) -> Flow:
        request = self._addressed(host, request)
        try:
            return exchange(
                host,
                request,
                self._policy,
                self._state,
                clock=monotonic,
                wall_clock=time,
                random=self._rng,
                observation=self._observer(request),
                keepalive_s=keepalive_s,
            )
        except NoRouteMatched as error:
            if self._warnings.allows(host.name, monotonic()):
                logger.warning("%s; `llm-mesh explain` says why", error.message)
            raise

    def health(self) -> Mapping[str, ProviderStatus]:
        """How the providers are doing that this process has called, by provider host."""
        return self._state.health.statuses(monotonic())

    def explain(
        self,
        host: str,
        *,
        path: str = "/",
        method: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"{}",
        attributes: Mapping[str, str] | None = None,
    ) -> Explanation:
        """Say how a request would be routed and what would be sent; nothing is.

        Args:
            host: what the request calls, as in a Host field.
            path: its path.
            method: its method; by default that of the operation which the path names.
            headers: its fields. A client key among them names the consumer, as it does in earnest.
            body: its JSON body.
            attributes: what the application says of the client.
        """
        from ._core.explaining.explainer import explain_request  # imported only if needed

        fields = Headers([(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers])
        facts = dict(attributes or {})
        consumer = self.access.consumer(fields)
        if consumer is not None:
            facts["consumer"] = consumer
        path = path.partition("?")[0]
        request = ClientRequest(method, path, fields, body, facts, host=host)
        client_keys = [key.get_secret_value() for key in self.settings.client_keys.values()]
        return explain_request(
            self.table, request, forward=self._policy.forward, secrets=client_keys
        )

    def warm_up(self) -> None:
        """Import the HTTP library of `asend`, so that no request has to wait for it."""
        self._clients.warm_up()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the mesh can go on being used."""
        await self._async_background.aclose()
        await self._clients.aclose()

    def close(self) -> None:
        """Close the connections of `send`, and of event loops that no longer run.

        `aclose` does its own loop's. A cluster that the mesh was told the name of is followed no
        longer. The mesh can go on being used.
        """
        self._clients.close()
        if isinstance(self._own_source, ClosableSource):
            self._own_source.close()

    def _looked_after(self) -> LiveTable:
        if monotonic() >= self._live.due_at:
            self._live.look()
        return self._live

    def _adopt(self, table: RoutingTable) -> None:
        """Make ready for `table`: read trust stores and certificates, forget what is gone.

        A trust store takes a while to read, and a file may be wrong: better now than by a request.
        """
        upstreams = [
            backend.upstream
            for host in table.hosts
            for rule in host.rules
            for backend in rule.backends
        ]
        if not self._clients.is_given:
            try:
                endpoints = [end for each in upstreams for end in each.endpoints.now()]
                self._contexts.load({TLSFiles(), *(endpoint.tls for endpoint in endpoints)})
            except OSError as exc:
                file = self.settings.ca_file or "a certificate file"
                message = f"{file} cannot be used: {exc.strerror or exc}"
                raise ConfigError([Problem("LLM_MESH_CA_FILE", 0, 0, "", message)]) from None
        self._state.keep(
            providers={each.identity for each in upstreams},
            routes={host.route for host in table.hosts},
        )

    def _make_telemetry(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
        redact: Callable[[str], str] | None,
    ) -> Telemetry:
        settings = self.settings
        telemetry = Telemetry(
            _version(),
            known_models=lambda: self._live.table.models,
            health=self.health,
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
            has_http_spans=self._has_http_spans,
            redact=redact,
        )
        telemetry.metrics.in_use(self._live.status.generation, self._live.status.loaded_at)
        return telemetry

    def _record(self, status: MeshStatus) -> None:
        is_success = status.state == "ok"
        self._telemetry.metrics.reloaded(is_success)
        if is_success:
            self._telemetry.metrics.in_use(status.generation, status.loaded_at)

    def _has_http_spans(self) -> bool:
        """Whether the HTTP client's own instrumentation makes a span of each attempt."""
        return self.settings.http_client_spans == "auto" and self._clients.make_spans()

    def _begin_process(self) -> None:
        """Leave to the parent process what is its own: connections, and calls under way."""
        self._live.begin_process()
        self._clients.forget()
        self._state = MeshState(threading.RLock, log_change)
        self._background = Background()
        self._async_background = AsyncBackground()


def _access(settings: MeshSettings) -> AccessPolicy:
    keys = {name: key.get_secret_value() for name, key in settings.client_keys.items()}
    return AccessPolicy.of(settings.access, keys)


def _policy(settings: MeshSettings) -> ExchangePolicy:
    return ExchangePolicy(
        max_response_bytes=settings.max_response_bytes,
        forward=ForwardPolicy.extended(settings.forward_headers),
        show_routing=settings.response_headers,
        mesh_id=secrets.token_hex(8),
        key_refused=RefusedKeys(),
    )


@cache  # to read it takes longer than to make the rest of a mesh
def _version() -> str:
    return version("llm-mesh-middleware")
