"""The mesh: one compiled configuration, its connections and state, for any number of adapters."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING

from msgspec.structs import replace as struct_replace

from ._core.explaining.explanation import Explanation
from ._core.flow.exchange import exchange
from ._core.flow.observer import Observer
from ._core.flow.policies import Policy
from ._core.flow.reply import Flow
from ._core.flow.serving import Addressed, Entrance, serve
from ._core.flow.state import MeshState
from ._core.provider.health import ProviderStatus
from ._core.routing.table import RoutingTable, VirtualHost
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
from ._mesh import assembly
from ._mesh.attributes import (
    attributes_for,
    check_attributes,
    source_for,
    stated,
    stated_by,
)
from ._mesh.ejection_log import log_change
from ._mesh.live_config import LiveTable, MeshStatus, compile_source
from ._mesh.seldom import Seldom
from ._telemetry.guard import GuardedObserver
from .exceptions import (
    AnswerableError,
    ClientDisconnected,
    NoRouteMatched,
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

    A mesh can be shared between adapters, threads and event loops, and created before a fork:
    connections are opened on first use, per process and event loop.
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
                `ConfigSource`; by default what `settings.config` names.
            settings: by default read from `LLM_MESH_*`.
            transport: an httpx transport that carries every upstream call, such as a
                `MockTransport` in a test; it then decides what to trust and where to connect. An
                asynchronous one serves `asend` only, a synchronous one `send` only.
            observer: follows every exchange, in addition to the mesh's own telemetry.
            tracer_provider: where spans go; by default OpenTelemetry's global one.
            meter_provider: where metrics go; by default OpenTelemetry's global one.
            logger_provider: where events go; by default OpenTelemetry's global one.
            redact: applied to each piece of content before it is recorded, where
                `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is set.
            environ: where `${NAME}` and `apiKeyFrom.env` are looked up; by default the environment
                of the process. Settings and a `ConfigSource` do not use it.
            rng: returns numbers in [0, 1) for weighted draws; pass a seeded one to repeat a run.

        Raises:
            ConfigError: with everything that is wrong with manifests and settings.
        """
        self.settings = settings if settings is not None else load_settings()
        self.access = assembly.make_access(self.settings)
        self._policy = assembly.make_policy(self.settings)
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
            source,
            self.settings,
            environ=environ,
            adopt=self._adopt,
            told=lambda status: assembly.record_load(self._telemetry, status),
        )
        self._telemetry = assembly.make_telemetry(
            self.settings,
            self._live,
            health=self.health,
            has_http_spans=self._has_http_spans,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            redact=redact,
        )
        observers = (self._telemetry,) if observer is None else (self._telemetry, observer)
        self._observer = GuardedObserver(observers)
        self._outbound = self.entrance()
        follow_forks(self)

    @property
    def table(self) -> RoutingTable:
        """The newest valid configuration; at most as old as the reload interval."""
        return self._live.current().table

    def find(self, host: bytes) -> VirtualHost | None:
        """Find the virtual host that a raw Host value names, or None.

        The virtual host belongs to one version of the configuration and stays usable.
        """
        live = self._live  # `current` inlined: this runs for every request of the application
        if monotonic() >= live.due_at:
            live.look()
        return live.table.find(host)

    def status(self) -> MeshStatus:
        """Return the configuration in use, the problems of the newest one, and provider states."""
        return replace(self._live.current().status, providers=self.health())

    def reload(self) -> MeshStatus:
        """Reload the configuration now, changed or not.

        An invalid configuration does not raise: the last valid one stays in use, and the status
        says so. Can be called from any thread and from a signal handler.
        """
        self._live.reload()
        return self.status()

    def attributes(self, **facts: str) -> AbstractContextManager[None]:
        """Set attributes of the calls made inside, for `attributes` matches and telemetry.

        They follow the context: this task or thread and those that copy its context, as `asyncio`
        and `asyncio.to_thread` do. A `threading.Thread` starts without it (unless Python's
        `thread_inherit_context` is set); use `contextvars.copy_context().run` as its target. Inner
        attributes override outer ones; what an adapter knows of a request overrides both.

        Raises:
            TypeError: a value is not a string.
        """
        check_attributes(facts)
        return stated(self._owner, facts)

    def stating(self, port: Port | AsyncPort, native: object) -> AbstractContextManager[None]:
        """Like `attributes`, but ask `port` for them, with `native`, when a call is made.

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
        """Serve a request that is addressed to `host`; the caller closes the returned delivery.

        Args:
            host: what `find` returned.
            request: the client's request, its body complete.
            why: returns the reason when the calling task is cancelled; by default, that the client
                has left.

        Raises:
            RequestError: the request is at fault.
            UpstreamError: the provider is at fault.
        """
        return await self.arun(self._exchange(host, request), why=why)

    def send(
        self, host: VirtualHost, request: ClientRequest, *, scope: CancelScope | None = None
    ) -> Delivery:
        """Serve like `asend`, in the calling thread and without an event loop.

        Args:
            host: as for `asend`.
            request: as for `asend`.
            scope: ends the exchange as if the client had left, when cancelled from another thread.
        """
        return self.run(self._exchange(host, request), scope=scope)

    def entrance(
        self,
        *,
        access: Policy | None = None,
        attributes: Port | AsyncPort | None = None,
        keepalive_s: float = 0.0,
    ) -> Entrance:
        """Return the entrance through which an adapter serves its requests.

        Args:
            access: decides who may use the mesh; None for the application's own calls.
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
        """Return the flow of one of the application's own calls; for adapters.

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
        """Report to observers a request that is refused before it is sent.

        Args:
            host: the virtual host that it is addressed to.
            request: what is known of it; there may be no body yet.
            error: why it is refused, such as a missing client key.
        """
        self._observer(self._addressed(host, request)).ended(error.status, error, None)

    def _addressed(self, host: VirtualHost, request: ClientRequest) -> ClientRequest:
        """Return the request with the name of its host and the attributes of the context."""
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
        """Return the states of the providers that this process has called, by provider host."""
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
        """Explain how a request would be routed and what would be sent, without sending it.

        Args:
            host: the host that it calls, as in a Host field.
            path: its path.
            method: its method; by default that of the operation which the path names.
            headers: its fields. A client key among them names the consumer, as in a real request.
            body: its JSON body.
            attributes: the application's attributes of the client.
        """
        from ._core.explaining.explainer import explain_request  # a rare call: imported when needed

        fields = Headers([(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers])
        consumer = self.access.consumer(fields)
        facts = {**(attributes or {}), **({} if consumer is None else {"consumer": consumer})}
        path = path.partition("?")[0]
        return explain_request(
            self.table,
            ClientRequest(method, path, fields, body, facts, host=host),
            forward=self._policy.forward,
            secrets=[key.get_secret_value() for key in self.settings.client_keys.values()],
        )

    def warm_up(self) -> None:
        """Import the HTTP library of `asend` now rather than in the first request."""
        self._clients.warm_up()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the mesh can still be used."""
        await self._async_background.aclose()
        await self._clients.aclose()

    def close(self) -> None:
        """Close the connections of `send`, and of event loops that no longer run.

        `aclose` closes those of its own loop. A cluster that the mesh connected to by name is no
        longer watched. The mesh can still be used.
        """
        self._clients.close()
        if isinstance(self._own_source, ClosableSource):
            self._own_source.close()

    def _adopt(self, table: RoutingTable) -> None:
        """Prepare for `table`: read its certificates, forget providers and routes that are gone."""
        if not self._clients.is_given:
            assembly.load_certificates(self._contexts, table, self.settings.ca_file)
        self._state.keep(
            providers={each.identity for each in assembly.upstreams(table)},
            routes={host.route for host in table.hosts},
        )

    def _has_http_spans(self) -> bool:
        """Return whether the HTTP client's own instrumentation makes a span of each attempt."""
        return self.settings.http_client_spans == "auto" and self._clients.make_spans()

    def _begin_process(self) -> None:
        """Start a forked process without its parent's connections and running calls."""
        self._live.begin_process()
        self._clients.forget()
        self._state = MeshState(threading.RLock, log_change)
        self._background = Background()
        self._async_background = AsyncBackground()
