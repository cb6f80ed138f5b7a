"""The mesh: one compiled configuration, shared by any number of adapters."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from threading import Event
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ._core.flow.observer import Observer
from ._core.limiting.claims import Store
from ._core.provider.health import ProviderStatus
from ._core.provider.servers.metrics_page import ServerLoad
from ._core.routing.table import RoutingTable, VirtualHost
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest
from ._engine.drivers.delivery import AsyncDelivery, Delivery
from ._mesh.assembly import Assembly
from ._mesh.attributes import check_attributes
from ._mesh.live_config import LiveTable, MeshStatus
from ._mesh.recording import Recording
from ._process.forks import follow_forks
from .exceptions import AnswerableError
from .settings import MeshSettings, load_settings
from .sources import Config

if TYPE_CHECKING:
    import httpx
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ._core.explaining.explanation import Explanation

__all__ = ["Config", "Mesh", "MeshStatus", "ProviderStatus"]


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
        store: Store | None = None,
    ) -> None:
        """Read and compile the configuration.

        Args:
            config: files or directories of manifests, `LLMProvider`, `LLMRoute` and `LLMPolicy`
                objects, or a source of your own; by default what `settings.config` names.
            settings: by default read from `LLM_MESH_*`.
            transport: an httpx transport for every upstream call, as for a test. An asynchronous
                one serves `asend` only, a synchronous one `send` only.
            observer: follows every exchange, in addition to the mesh's own telemetry.
            tracer_provider: where spans go; by default OpenTelemetry's global one.
            meter_provider: where metrics go; by default OpenTelemetry's global one.
            logger_provider: where events go; by default OpenTelemetry's global one.
            redact: applied to each piece of content before it is recorded.
            environ: where `${NAME}` and `apiKeyFrom.env` are looked up; by default `os.environ`.
            rng: returns numbers in [0, 1) for weighted draws; pass a seeded one to repeat a run.
            store: where limits are kept; by default what `settings.store` names.

        Raises:
            ConfigError: manifests or settings have errors; it has all of them.
            TypeError: an argument is of another type.
        """
        _check(settings, store, observer=observer, redact=redact, rng=rng)
        self.settings = settings or load_settings()
        self._parts = parts = Assembly(
            config,
            self.settings,
            transport=transport,
            observer=observer,
            recording=Recording(tracer_provider, meter_provider, logger_provider, redact),
            environ=environ,
            rng=rng,
            store=store,
        )
        self.access, self._live, self._serving = parts.access, parts.live, parts.serving
        follow_forks(self)

    @property
    def hosts(self) -> tuple[VirtualHost, ...]:
        """The virtual hosts of the newest valid configuration."""
        return self._table.hosts

    def find(self, host: bytes) -> VirtualHost | None:
        """Find the virtual host that a raw Host value names, or None.

        The virtual host belongs to one version of the configuration and stays usable.
        """
        live = self._live  # not by a call: this is run for every request of the application
        if monotonic() >= live.due_at:
            live.look()
        return live.table.find(host)

    def status(self) -> MeshStatus:
        """Return the configuration in use, the problems of the newest one, and provider states."""
        return replace(self._looked_after().status, providers=self.health())

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
        return self._serving.attributes(facts)

    async def asend(self, host: VirtualHost, request: ClientRequest) -> AsyncDelivery:
        """Serve a request that is addressed to `host`; the caller closes the returned delivery.

        Args:
            host: what `find` returned.
            request: the client's request, its body complete.

        Raises:
            RequestError: the request is at fault.
            UpstreamError: the provider is at fault.
        """
        return await self._serving.arun(self._serving.exchange(host, request))

    def send(self, host: VirtualHost, request: ClientRequest) -> Delivery:
        """Serve like `asend`, in the calling thread and without an event loop.

        Args:
            host: as for `asend`.
            request: as for `asend`.
        """
        return self._serving.run(self._serving.exchange(host, request))

    def observe(self, observer: Observer) -> None:
        """Tell `observer`, too, of every exchange that begins from now on, for as long as it lives.

        As `Mesh(observer=...)`, for what is made after the mesh.
        """
        self._parts.observer.add(observer)

    def refuse(self, host: VirtualHost, request: ClientRequest, error: AnswerableError) -> None:
        """Tell observers of a request that its adapter refuses with `error`, without `send`.

        Args:
            host: the virtual host that it is addressed to.
            request: what is known of it; there may be no body yet.
            error: why it is refused.
        """
        self._serving.refuse(host, request, error)

    def health(self) -> Mapping[str, ProviderStatus]:
        """Return the states of the providers that this process has called or checked, by host."""
        return self._parts.health()

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
            headers: its fields as pairs. A client key among them names the consumer, as in a real
                request.
            body: its JSON body.
            attributes: the application's attributes of the client.

        Raises:
            TypeError: an attribute is not a string, headers are not pairs, or the body not bytes.
        """
        from ._core.explaining.explainer import explain_request  # imported only if needed

        if isinstance(headers, Mapping) or not isinstance(body, bytes):
            raise TypeError("headers must be pairs of a name and a value, and body must be bytes")
        fields = Headers([(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers])
        facts = dict(attributes or {})
        check_attributes(facts)
        consumer = self.access.consumer(fields)
        if consumer is not None:
            facts["consumer"] = consumer
        path = path.partition("?")[0]
        request = ClientRequest(method, path, fields, body, facts, host=host)
        client_keys = [key.get_secret_value() for key in self.settings.client_keys.values()]
        return explain_request(
            self._table,
            request,
            forward=self._serving.settings.forward,
            secrets=client_keys,
            health=self._serving.state.health,
            now=monotonic(),
            wall_now=time(),
        )

    def warm_up(self) -> None:
        """Prepare for requests now rather than in the first one.

        The HTTP library of `asend` is imported, and the active checks of servers begin.
        """
        self._serving.clients.warm_up()
        self._parts.begin_checks()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and end active checks of servers.

        The mesh can still be used.
        """
        await self._parts.aclose()

    def close(self) -> None:
        """Close the connections of `send`, and of event loops that no longer run.

        `aclose` closes those of its own loop. A cluster that the mesh connected to by name is no
        longer watched, and active checks end. The mesh can still be used.
        """
        self._parts.close()

    @property
    def _table(self) -> RoutingTable:
        """The newest valid configuration, for this package; at most a reload interval old."""
        return self._looked_after().table

    def _servers(self) -> Mapping[str, tuple[ProviderStatus, ServerLoad | None]]:
        """Return the state and the load of model servers, for this package."""
        return self._parts.servers()

    def _looked_after(self) -> LiveTable:
        if monotonic() >= self._live.due_at:
            self._live.look()
        return self._live

    def _follow(self, is_over: Event) -> None:
        """Look for changes of the configuration until `is_over`, for this package."""
        self._live.follow(is_over)

    def _begin_process(self) -> None:
        """Start a forked process without its parent's connections and running calls."""
        self._parts.begin_process()


def _check(settings: object, store: object, **functions: object) -> None:
    """Raise TypeError now for what would fail in the middle of a call."""
    _check_kind(settings, MeshSettings, "settings", "MeshSettings(...)")
    _check_kind(store, Store, "store", "a store of llm_mesh_middleware.stores; a URL is a setting")
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function, not {type(function).__name__}")


def _check_kind(given: object, kind: type[Any], name: str, wanted: str) -> None:
    if given is not None and not isinstance(given, kind):
        raise TypeError(f"{name} must be {wanted}, not {type(given).__name__}")
