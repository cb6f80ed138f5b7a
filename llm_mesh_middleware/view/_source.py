"""The sources of snapshots for the view: the hub of this process, and those of its peers."""

from __future__ import annotations

from collections import deque
from time import monotonic, time

from ..mesh import Mesh
from ._feeding.merging import merge
from ._feeding.topology import Topology
from ._watching.hub import Hub
from .peers import Peers
from .values import Call, Report, Snapshot

__all__ = ["Source"]

_MAX_CALLS = 500


class Source:
    """Makes snapshots; one thread at a time."""

    def __init__(
        self, mesh: Mesh, hub: Hub, *, peers: Peers | None = None, trace_url: str | None = None
    ) -> None:
        """Begin with the configuration that is in use, so that the first change is seen."""
        self._mesh = mesh
        self._hub = hub
        self._peers = peers
        self._trace_url = trace_url
        self._topology = Topology()
        self._known: dict[int, int] = {}
        self._calls: deque[Call] = deque(maxlen=_MAX_CALLS)
        self._topology.follow(mesh._table, mesh.status())

    def take(self) -> Snapshot:
        """Make a snapshot of this moment."""
        reports = [self._hub.report(after=self._after(self._hub.worker))]
        if self._peers is not None:
            reports += self._peers.reports(self._after)
        skipped = sum(map(self._skipped, reports))
        self._known = {report.worker: report.last_number for report in reports}
        fresh = [call for report in reports for call in report.calls]
        self._calls.extend(sorted(fresh, key=lambda call: call.at + call.duration_ms / 1000))
        table = self._mesh._table
        config = self._topology.follow(table, self._mesh.status())
        return merge(
            reports,
            at=time(),
            second=int(monotonic()),
            config=config,
            hosts=self._topology.hosts,
            items=self._topology.items,
            calls=list(self._calls),
            skipped=skipped,
            trace_url=self._trace_url,
        )

    def _skipped(self, report: Report) -> int:
        """Return how many calls a worker has left out since its last report."""
        before = self._known.get(report.worker)
        return 0 if before is None else report.last_number - before - len(report.calls)

    def _after(self, worker: int) -> int:
        return self._known.get(worker, 0)
