"""`KubernetesSource`: a cluster as a source of configuration."""

from __future__ import annotations

import os
import weakref
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from llm_mesh_middleware import Problem
from llm_mesh_middleware.sources import Manifest, parse_object

from . import background
from .cluster import Cluster, ClusterOptions, Snapshot
from .conditions import Verdict, judge
from .resources import PLURALS

__all__ = ["KubernetesSource"]


class KubernetesSource:
    """The `LLMProvider`, `LLMRoute` and `LLMPolicy` objects of a cluster, and what they refer to.

    Those are Secrets, and pools of model servers with the addresses of their ready pods. One thread
    for each process follows them in the background; the first `load` or `fingerprint` starts it,
    also after a fork. While the API server is unavailable, the last state stays.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        environ: Mapping[str, str] | None = None,
        write_status: bool = True,
        timeout_s: float = 30.0,
        backoff_s: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        """Set what to follow; the API server is not called yet.

        Args:
            namespace: the namespace of the objects; `*` for all of them. By default that of
                the pod, or of the kubeconfig's context.
            kubeconfig: by default the pod's service account, or else `KUBECONFIG`.
            context: of the kubeconfig; by default its current one.
            environ: where `${NAME}` is looked up; by default the environment of the process.
            write_status: whether to write the status of objects, if that is allowed. If meshes with
                different settings share objects, only one should.
            timeout_s: how long the first `load` waits for the API server.
            backoff_s: the first pause after a failure, and the longest.
        """
        self._options = ClusterOptions(
            namespace=namespace,
            kubeconfig=None if kubeconfig is None else os.fspath(kubeconfig),
            context=context,
            writes_status=write_status,
            backoff_s=backoff_s,
        )
        self._label = "kubernetes" if namespace is None else f"kubernetes:{namespace}"
        self._environ = os.environ if environ is None else environ
        self._timeout_s = timeout_s
        self._run: _Run | None = None
        self._loaded: tuple[Snapshot, tuple[Problem, ...]] | None = None

    def load(self) -> Manifest:
        """Return the documents of the cluster; the first call waits for the API server."""
        cluster = self._running().cluster
        cluster.settled.wait(self._timeout_s)
        snapshot = cluster.published[1]
        if snapshot is None:
            return Manifest(problems=(Problem(self._label, 0, 0, "", cluster.fault),))
        parts = [
            parse_object(value, source=name, environ=self._environ)
            for name, value in snapshot.objects.items()
        ]
        problems = tuple(problem for part in parts for problem in part.problems)
        self._loaded = snapshot, problems
        return Manifest(
            tuple(resource for part in parts for resource in part.resources),
            problems,
            frozenset().union(*(part.broken_hosts for part in parts)),
            snapshot.secrets,
        )

    def fingerprint(self) -> Hashable:
        """Return the number of the newest state; changes of status are not counted."""
        return self._running().cluster.published[0]

    def report(self, problems: tuple[Problem, ...]) -> None:
        """Write the problems of the last load to the conditions of the objects."""
        if self._loaded is None or not self._options.writes_status:
            return
        snapshot, own = self._loaded
        verdicts = {
            name: _verdict(name, value, own, problems)
            for name, value in snapshot.objects.items()
            if name.partition("/")[0] in PLURALS  # the gateway writes a pool's status
        }
        run = self._running()
        run.job.call(run.cluster.report, verdicts)

    def close(self) -> None:
        """Stop following; a later `load` or `fingerprint` starts again, with the last state."""
        run = self._run
        if run is not None and run.job.pid == os.getpid():
            run.job.end()

    def _running(self) -> _Run:
        run = self._run
        if run is not None and run.is_alive:
            return run
        with background.exclusive():
            run = self._run
            if run is not None and run.is_alive:
                return run
            published = (0, None) if run is None else run.cluster.published
            cluster = Cluster(self._options, published)
            self._run = run = _Run(cluster, background.start(cluster.run))
        weakref.finalize(self, run.job.cancel).atexit = False
        return run


@dataclass(frozen=True, slots=True)
class _Run:
    """A cluster that is being followed."""

    cluster: Cluster
    job: background.Job

    @property
    def is_alive(self) -> bool:
        return self.job.pid == os.getpid() and not self.job.is_done


def _verdict(
    name: str,
    value: Mapping[str, object],
    own: tuple[Problem, ...],
    problems: tuple[Problem, ...],
) -> Verdict:
    metadata = value.get("metadata")
    generation = metadata.get("generation") if isinstance(metadata, Mapping) else None
    return judge(
        generation if isinstance(generation, int) else 0,
        unreadable=[problem for problem in own if problem.source == name],
        problems=[problem for problem in problems if problem.source == name],
    )
