"""Reports of the servers that a mesh knows."""

from __future__ import annotations

from ...mesh import Mesh
from ..backends import ServerReport

__all__ = ["server_reports"]

_MAX_SERVERS = 500
_MAX_ADAPTERS = 20


def server_reports(mesh: Mesh) -> dict[str, ServerReport]:
    """Return this process's report of each server, by provider host and address."""
    reports = {}
    for name, (status, load) in list(mesh._servers().items())[:_MAX_SERVERS]:
        if load is None:
            reports[name] = ServerReport(status.state, status.in_flight)
            continue
        reports[name] = ServerReport(
            status.state,
            status.in_flight,
            load.waiting,
            load.running,
            round(load.cache_used, 2),
            tuple(sorted(load.adapters or ())[:_MAX_ADAPTERS]),
        )
    return reports
