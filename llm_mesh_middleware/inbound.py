"""What every inbound adapter has in common: its mesh, and who may use it.

For writers of adapters; applications use the adapters themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from ._core.http.request_head import check_body, check_hosts, split_target, too_large
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest
from ._forks import ForkLock
from ._schema.wording import suggest
from .exceptions import ConfigError, Problem
from .mesh import Config, Mesh
from .settings import MeshSettings, load_settings

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = [
    "ClientRequest",
    "ForkLock",
    "Headers",
    "Inbound",
    "check_body",
    "check_hosts",
    "read_settings",
    "split_target",
    "too_large",
]

Native = TypeVar("Native")


class Inbound(Generic[Native]):
    """The mesh behind an adapter, and the application's own word on a request.

    `Native` is what the framework calls a request: a scope, an environ, an object.
    """

    def __init__(
        self,
        *,
        config: Config | None = None,
        settings: MeshSettings | None = None,
        mesh: Mesh | None = None,
        attributes: Callable[[Native], Mapping[str, str]] | None = None,
        authorize: Callable[[Native], bool] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """As `LLMMeshMiddleware`; nothing is read yet."""
        self._config = config
        self._settings = settings
        self._mesh = mesh
        self._attributes = attributes
        self._authorize = authorize
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._logger_provider = logger_provider
        self._lock = ForkLock()

    @property
    def mesh(self) -> Mesh:
        """The mesh, made on first use.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        return self._mesh or self._make_mesh()

    def admit(self, native: Native, peer: str | None, headers: Headers) -> Mapping[str, str]:
        """The facts about a request that may use the mesh, before its body is read.

        Args:
            native: the request as the framework has it, for the application's callables.
            peer: the address of the other end of the connection; None if it is unknown.
            headers: the request's fields.

        Returns:
            What the application says of it, and as `consumer` the name of its client key.

        Raises:
            InvalidClientKey: a key was needed and is missing or unknown.
            AccessDenied: the mesh serves its own host and network only.
            MalformedRequest: the body's length is ambiguous.
            RequestTooLarge: it says that it is too long.
            UnsupportedEncoding: it is compressed.
        """
        mesh, authorize = self.mesh, self._authorize
        decision = None if authorize is None else lambda: authorize(native)
        consumer = mesh.access.admit(peer, headers, decision)
        check_body(headers, mesh.settings.max_request_bytes)
        facts = dict(self._attributes(native)) if self._attributes is not None else {}
        if consumer is not None:
            facts["consumer"] = consumer
        return facts

    def _make_mesh(self) -> Mesh:
        with self._lock.of_process:
            if self._mesh is None:
                self._mesh = Mesh(
                    self._config,
                    settings=self._settings,
                    tracer_provider=self._tracer_provider,
                    meter_provider=self._meter_provider,
                    logger_provider=self._logger_provider,
                )
            return self._mesh


def read_settings(
    options: Mapping[str, object], *, spelling: str, beside: Collection[str] = ()
) -> MeshSettings:
    """The settings that a framework's own configuration holds, over the environment.

    Args:
        options: values by the names of `MeshSettings` in capitals; None is as good as absent.
        spelling: how a user writes such a name, with `{}` in its place.
        beside: names that may be there too, and mean something to the adapter.

    Raises:
        ConfigError: with one problem for each name that is unknown and each value that is wrong.
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
        # Outside the handler: the chain of exceptions would hold every input.
        raise ConfigError(problems)
    return settings


def _unknown(name: str, names: Sequence[str], spelling: str) -> Problem:
    words = suggest(name, names)
    for near in names:
        words = words.replace(f"`{near}`", f"`{spelling.format(near)}`")
    return Problem(spelling.format(name), 0, 0, "", f"unknown setting; {words}")
