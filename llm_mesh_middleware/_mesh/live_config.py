"""The routing table in use, and the loads that replace it.

A version is read and compiled first, then put in use with one assignment:

    changed?  --no-->  the table stays
      | yes
    compile   --error-->  the last good table stays, state is `stale`
      | ok
    removes something?  --yes-->  held until it has stayed the same for a while (`settling`)
      | no, or an explicit reload
    adopt     --error-->  as above
      | ok
    in use

No thread is needed: each access looks for changes when the interval has passed. Where a thread
follows the configuration, as in `asgi.lifespan`, accesses do not look: a load of many manifests
takes seconds, in which an event loop would do nothing else.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from .._compile import Compiled, Workload, compile_manifest
from .._core.provider.health import ProviderStatus
from .._core.routing.table import RoutingTable
from .._core.routing.timeouts import Timeouts
from .._process.files import FileVersion, FileVersions, version_of
from .._process.forks import ForkLock
from ..exceptions import ConfigError, Problem
from ..settings import MeshSettings
from ..sources import ConfigSource, Manifest, ReportingSource
from .settling import Held, lost_parts, settle_time

__all__ = ["LiveTable", "MeshStatus", "compile_loaded", "compile_source", "workload_of"]

logger = logging.getLogger("llm_mesh_middleware")

# A thread looks at most this often, however short the reload interval is.
_SHORTEST_S = 0.05
_MAX_NAMES = 50  # in a log line, which some collectors cut


class MeshStatus(msgspec.Struct, frozen=True):
    """The configuration in use and the providers: what `Mesh.status()` returns.

    Attributes:
        state: `stale` while the newest configuration cannot be used and an older one is in use.
        generation: number of the configuration in use, counted from 1 in each process.
        loaded_at: when it came into use, in seconds since the epoch.
        hosts: its virtual hosts.
        problems: those of the newest configuration, including warnings; they contain no secrets.
            providers: health by provider host.
    """

    state: Literal["ok", "stale"]
    generation: int
    loaded_at: float
    hosts: tuple[str, ...]
    problems: tuple[Problem, ...]
    providers: Mapping[str, ProviderStatus]


class LiveTable:
    """The table in use; `look` replaces it if there is a newer one that can be used.

    One thread at a time loads; the others continue with the current table. `adopt` is called with a
    table before it comes into use and may raise ConfigError to refuse it; `on_load` is called after
    each load except the first. The next access after `due_at` looks; the next look, by any
    thread, is due at `_next_at`.
    """

    def __init__(
        self,
        source: ConfigSource,
        settings: MeshSettings,
        *,
        environ: Mapping[str, str] | None = None,
        adopt: Callable[[RoutingTable], None],
        on_load: Callable[[MeshStatus], None],
    ) -> None:
        """Load for the first time.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        self._source = source
        self._settings = settings
        self._environ = environ
        self._adopt = adopt
        self._on_load = on_load
        self._interval_s = settings.reload_interval or math.inf
        self._versions = FileVersions()
        self._files: Mapping[str, FileVersion] = {}
        self._fingerprint: Hashable = None
        self._held: Held | None = None
        self._is_loading = self._is_wanted = False
        self._followers = 0
        self._lock = ForkLock()
        self.table = RoutingTable()
        self.status = MeshStatus("ok", 0, 0.0, (), (), {})
        self._load()
        if self.status.state != "ok":
            raise ConfigError(_errors(self.status.problems))
        self._plan(time.monotonic() + self._interval_s)

    def current(self) -> LiveTable:
        """Look for changes if that is due; return itself."""
        if time.monotonic() >= self.due_at:
            self.look()
        return self

    def look(self) -> None:
        """Load if something has changed; called when the clock has passed `due_at`."""
        lock = self._lock.of_process
        if not lock.acquire(blocking=False):
            return
        try:
            if self._is_loading:  # a signal handler interrupted a load
                return
            now = time.monotonic()
            self._plan(now + self._interval_s)
            if self._is_wanted:
                self._load_wanted()
            elif self._is_changed():
                self._load_wanted(settle_s=settle_time(self._interval_s))
            elif self._held is not None and now >= self._held.until:
                self._use(self._held.compiled)
                self._notify()
            if self._held is not None:
                self._plan(min(self._next_at, self._held.until))
        finally:
            lock.release()

    def follow(self, is_over: threading.Event) -> None:
        """Look for changes until `is_over`; accesses need not look in the meantime."""
        self._follow(1)
        try:
            while not is_over.wait(self._pause_s()):
                self.look()
        finally:
            self._follow(-1)

    def reload(self) -> None:
        """Load now, changed or not, after any load that another thread has started."""
        with self._lock.of_process:
            self._is_wanted = True
            if not self._is_loading:  # else a signal handler interrupted a load in this thread
                self._load_wanted()

    def begin_process(self) -> None:
        """Reset in a forked child, where the thread that was loading does not exist."""
        self._is_loading = False
        self._followers = 0
        self._plan(0.0 if self._interval_s < math.inf else math.inf)

    def _pause_s(self) -> float:
        until_due = max(self._next_at - time.monotonic(), _SHORTEST_S)
        return min(until_due, threading.TIMEOUT_MAX)

    def _follow(self, more: int) -> None:
        with self._lock.of_process:
            self._followers += more
            self._plan(self._next_at)

    def _plan(self, at: float) -> None:
        """Set when the next look is due."""
        self._next_at = at
        self.due_at = math.inf if self._followers else at

    def _is_changed(self) -> bool:
        if dict(self._versions.of(self._files)) != self._files:
            return True
        return _fingerprint(self._source) != self._fingerprint

    def _load_wanted(self, *, settle_s: float = 0.0) -> None:
        """Load, and again if that was asked for in the meantime."""
        self._is_loading = self._is_wanted = True
        try:
            while self._is_wanted:
                self._is_wanted = False
                self._load(settle_s=settle_s)
                if self._held is None:
                    self._notify()
                settle_s = 0.0  # an explicit reload does not wait
        finally:
            self._is_loading = False

    def _load(self, *, settle_s: float = 0.0) -> None:
        """Load the current version, and use it or hold it back.

        A version with errors is not compiled again until it changes.
        """
        begun_at = time.monotonic()
        # Read before the load, so that the next look finds a change during it.
        fingerprint = _fingerprint(self._source)
        compiled = self._guarded(self._compile)
        self._held = None
        lost = self._lost(compiled) if settle_s else ()
        if lost and time.monotonic() < begun_at + settle_s:
            self._held = Held(compiled, begun_at + settle_s)
            logger.info(
                "a new configuration waits %.1f s to be sure that it is complete: it lacks %s",
                settle_s,
                ", ".join(lost[:3]),
            )
        else:
            self._use(compiled)
        # Stored after the load, so that one that a fork or Ctrl-C has ended is repeated.
        self._fingerprint, self._files = fingerprint, compiled.files

    def _lost(self, compiled: Compiled) -> tuple[str, ...]:
        if compiled.table is None:
            return ()
        lost = lost_parts(self.table, compiled.table)
        return ("the end of the last line",) if compiled.may_be_cut and not lost else lost

    def _use(self, compiled: Compiled) -> None:
        """Put the table in use, or keep the current one if this one cannot be used."""
        self._held = None
        compiled = self._guarded(lambda: self._adopted(compiled))
        table, problems = compiled.table, compiled.problems
        if table is None:
            self.status = replace(self.status, state="stale", problems=problems)
        else:
            hosts = tuple(host.name for host in table.hosts)
            generation = self.status.generation + 1
            self.table = table
            self.status = MeshStatus("ok", generation, time.time(), hosts, problems, {})
        self._log()
        self._report(problems)

    def _guarded(self, step: Callable[[], Compiled]) -> Compiled:
        """Turn an exception of a source into a problem, once requests are served."""
        try:
            return step()
        except Exception as exc:
            if not self.status.generation:
                raise
            # Its text is not repeated: it may contain a key.
            message = f"{type(exc).__name__} was raised while the configuration was loaded"
            problem = Problem(type(self._source).__name__, 0, 0, "", message)
            return Compiled(None, (problem,), self._files)

    def _compile(self) -> Compiled:
        ca_file = self._settings.ca_file
        trusted = {} if ca_file is None else {ca_file: version_of(ca_file)}
        compiled = compile_loaded(self._source.load(), self._settings, self._environ)
        return replace(compiled, files={**compiled.files, **trusted})

    def _adopted(self, compiled: Compiled) -> Compiled:
        try:
            if compiled.table is not None:
                self._adopt(compiled.table)
        except ConfigError as exc:
            return replace(compiled, table=None, problems=(*compiled.problems, *exc.problems))
        return compiled

    def _log(self) -> None:
        status = self.status
        for problem in status.problems:
            if problem.severity == "warning":
                logger.warning("%s", problem)
        if status.state == "ok":
            names, more = ", ".join(status.hosts[:_MAX_NAMES]), len(status.hosts) - _MAX_NAMES
            logger.info(
                "serving %d virtual host%s: %s%s",
                len(status.hosts),
                "s" * (len(status.hosts) != 1),
                names,
                f" and {more} more" if more > 0 else "",
            )
        elif status.generation:
            errors = "; ".join(map(str, _errors(status.problems)))
            logger.error("the configuration cannot be used, the last good one stays: %s", errors)

    def _report(self, problems: tuple[Problem, ...]) -> None:
        if not isinstance(self._source, ReportingSource):
            return
        try:
            self._source.report(problems)
        except Exception as exc:  # a failed report does not make the configuration worse
            logger.error("%s.report raised %s", type(self._source).__name__, type(exc).__name__)

    def _notify(self) -> None:
        try:
            self._on_load(self.status)
        except Exception:  # a failure of telemetry must not fail the request
            logger.exception("a reload could not be recorded")


def compile_source(
    source: ConfigSource, settings: MeshSettings, environ: Mapping[str, str] | None = None
) -> tuple[RoutingTable | None, tuple[Problem, ...]]:
    """Load and compile; the table is None if a problem is an error."""
    compiled = compile_loaded(source.load(), settings, environ)
    return compiled.table, compiled.problems


def compile_loaded(
    manifest: Manifest, settings: MeshSettings, environ: Mapping[str, str] | None = None
) -> Compiled:
    """Compile the manifest that a source has loaded."""
    return compile_manifest(
        manifest,
        workload_of(settings),
        endpoints=settings.endpoints,
        timeouts=_timeouts(settings),
        environ=os.environ if environ is None else environ,
        prices=settings.prices,
    )


def workload_of(settings: MeshSettings) -> Workload:
    """Return this process as the workload that manifests select."""
    is_open = settings.access == "open" and not settings.client_keys
    return Workload(settings.labels, settings.namespace, frozenset(settings.gateways), is_open)


def _fingerprint(source: ConfigSource) -> Hashable:
    try:
        return source.fingerprint()
    except Exception as exc:  # a foreign source must not make requests fail
        return type(exc).__name__


def _errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]


def _timeouts(settings: MeshSettings) -> Timeouts:
    return Timeouts(
        connect=settings.connect_timeout,
        first_byte=settings.first_byte_timeout,
        idle=settings.idle_timeout,
        request=settings.request_timeout,
    )
