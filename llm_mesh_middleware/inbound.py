"""The common part of inbound adapters: the mesh, access, and how a request is served.

For writers of adapters; applications use the adapters themselves. An adapter reads the head of a
request, asks `address` whether it is for the mesh, and if so has `serve` or `aserve` make the
reply:

    head ──> address ──> None: the application's
                   └──> Addressed ──> serve / aserve(addressed, request, body) ──> Delivery
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

from msgspec.structs import replace

from ._core.flow.reply import Reply
from ._core.flow.serving import Addressed, Entrance, address, serve
from ._core.http.request_head import split_target, too_large
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest
from ._core.values.steps import AsyncPort, Port
from ._engine.drivers.delivery import AsyncDelivery, Delivery
from ._engine.ports.callback import Decision, Facts
from ._process.forks import ForkLock
from ._schema.wording import suggest
from .exceptions import ConfigError, Problem
from .mesh import Config, Mesh
from .settings import MeshSettings, load_settings

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = [
    "AdapterOptions",
    "Addressed",
    "AsyncDelivery",
    "AsyncPort",
    "ClientRequest",
    "Delivery",
    "ForkLock",
    "Headers",
    "Inbound",
    "Port",
    "Reply",
    "address",
    "check_options",
    "read_settings",
    "split_target",
    "too_large",
]

Native = TypeVar("Native")


class AdapterOptions(TypedDict, Generic[Native], total=False):
    """The keywords of every inbound adapter; by default everything is read from `LLM_MESH_*`.

    `Native` is the framework's request: a scope, an environ, an object.
    """

    config: Config | None
    """Manifests, as `Mesh` takes them."""
    settings: MeshSettings | None
    """As `Mesh` takes them."""
    mesh: Mesh | None
    """A mesh to share with other adapters, instead of `config` and `settings`."""
    attributes: (
        Callable[[Native], Mapping[str, str | None] | Awaitable[Mapping[str, str | None]]] | None
    )
    """Returns the application's own facts about a request (plan, tenant), for matching. They hold
    for the calls that the application makes while it serves the request, too. A fact is text; None
    is no fact."""
    authorize: Callable[[Native], bool | Awaitable[bool]] | None
    """Decides who may use the mesh, instead of `LLM_MESH_ACCESS`; a client key still admits.
    Only True admits."""
    tracer_provider: TracerProvider | None
    """As `Mesh` takes it."""
    meter_provider: MeterProvider | None
    """As `Mesh` takes it."""
    logger_provider: LoggerProvider | None
    """As `Mesh` takes it."""


class Inbound(Generic[Native]):
    """The mesh behind an adapter, with the application's callables."""

    def __init__(self, options: AdapterOptions[Native]) -> None:
        """Store an adapter's options; nothing is read yet.

        `has_attributes` says whether `attributes` is among them: it is asked for each request of
        the application. `has_callables` says whether any callable needs the framework's request.

        Raises:
            TypeError: there is no such option, or it has another type.
        """
        check_options(options)
        self._options = options
        self._mesh = options.get("mesh")
        self._attributes = Facts.of(options.get("attributes"), "attributes")
        self._authorize = Decision.of(options.get("authorize"), "authorize")
        self.has_attributes = self._attributes is not None
        self.has_callables = self.has_attributes or self._authorize is not None
        self._entrance: Entrance | None = None
        # How long a client may read nothing of its reply, and take to send its request; known when
        # the first one is served.
        self.idle_s: float | None = None
        self.request_s = 0.0
        self._lock = ForkLock()

    @property
    def mesh(self) -> Mesh:
        """The mesh, created on first use.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        return self._mesh or self._make_mesh()

    def serve(
        self, addressed: Addressed, request: ClientRequest, body: Port | AsyncPort | None = None
    ) -> Delivery:
        """Serve a request in the calling thread; the caller closes the returned delivery.

        Args:
            addressed: the result of `address`.
            request: what is known of it before its body is read.
            body: returns the body, given its maximum size; None if `request` has it.
        """
        entrance = self._entrance or self._make_entrance()
        return self.mesh._serving.run(serve(entrance, addressed, request, body))

    def aserve(
        self,
        addressed: Addressed,
        request: ClientRequest,
        body: Port | AsyncPort | None = None,
        *,
        why: Callable[[], Exception] | None = None,
        loop: AbstractEventLoop | None = None,
    ) -> Awaitable[AsyncDelivery]:
        """Serve a request; the asynchronous twin of `serve`.

        Args:
            addressed: as for `serve`.
            request: as for `serve`.
            body: as for `serve`.
            why: returns the reason for a cancellation of the calling task; by default the client
                has left.
            loop: the running event loop, if the adapter knows it.
        """
        entrance = self._entrance or self._make_entrance()
        flow = serve(entrance, addressed, request, body)
        return (self._mesh or self.mesh)._serving.arun(flow, why, loop)

    def stating(self, native: Native) -> AbstractContextManager[None]:
        """Return a context in which calls through the mesh have the attributes of a request.

        The adapter's `attributes` is called when such a call is made, not earlier: by then the
        application may know more about its client.
        """
        if self._attributes is None:
            return nullcontext()
        return self.mesh._serving.attributes_from(self._attributes, native)

    def _make_mesh(self) -> Mesh:
        options = self._options
        with self._lock.of_process:
            if self._mesh is None:
                self._mesh = Mesh(
                    options.get("config"),
                    settings=options.get("settings"),
                    tracer_provider=options.get("tracer_provider"),
                    meter_provider=options.get("meter_provider"),
                    logger_provider=options.get("logger_provider"),
                )
            return self._mesh

    def _make_entrance(self) -> Entrance:
        mesh = self.mesh
        self.idle_s, self.request_s = mesh.settings.idle_timeout, mesh.settings.request_timeout
        self._entrance = mesh._serving.entrance(
            access=replace(mesh.access, authorize=self._authorize),
            attributes=self._attributes,
            keepalive_s=mesh.settings.sse_keepalive,
        )
        return self._entrance


def check_options(options: AdapterOptions[Any]) -> None:
    """Check the names of an adapter's options, and what excludes what.

    Raises:
        TypeError: there is no such option, or `mesh` is none or makes another one useless.
    """
    for name in options.keys() - AdapterOptions.__optional_keys__:
        known = ", ".join(sorted(AdapterOptions.__optional_keys__))
        raise TypeError(f"unexpected option {name!r}; expected one of: {known}")
    mesh = options.get("mesh")
    if mesh is None:
        return
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be a Mesh, not {type(mesh).__name__}; manifests are `config`")
    for name in _OF_A_NEW_MESH:
        if options.get(name) is not None:
            raise TypeError(f"{name} is for a new mesh: give it to the Mesh, or leave `mesh` out")


_OF_A_NEW_MESH = ("config", "settings", "tracer_provider", "meter_provider", "logger_provider")


def read_settings(
    options: Mapping[str, object], *, spelling: str, beside: Collection[str] = ()
) -> MeshSettings:
    """Return the settings of a framework's configuration, over those of the environment.

    Args:
        options: values by the names of `MeshSettings` in capitals; None counts as absent.
        spelling: the user's spelling of a name, with `{}` for the name.
        beside: further names, which the adapter itself uses.

    Raises:
        ConfigError: has one problem for each unknown name and each invalid value.
    """
    known = [name.upper() for name in MeshSettings.model_fields]
    names = [*known, *beside]
    problems = [_unknown(name, names, spelling) for name in options if name not in names]
    given = {name.lower(): options[name] for name in known if options.get(name) is not None}
    settings = None
    try:
        settings = load_settings(**given)
    except ConfigError as exc:
        for problem in exc.problems:
            name = problem.source.removeprefix("LLM_MESH_")
            source = spelling.format(name) if name.lower() in given else problem.source
            problems.append(replace(problem, source=source))
    if settings is None or problems:
        # Outside the handler: a chained exception would hold every input.
        raise ConfigError(problems)
    return settings


def _unknown(name: str, names: Sequence[str], spelling: str) -> Problem:
    words = suggest(name, names)
    for near in names:
        words = words.replace(f"`{near}`", f"`{spelling.format(near)}`")
    return Problem(spelling.format(name), 0, 0, "", f"unknown setting; {words}")
