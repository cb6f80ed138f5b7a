"""Servers and mirrors over all workers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ..backends import MirrorTraffic, ServerReport, ServerState
from ..values import ProviderReport, Report, key_of

__all__ = ["STATES", "merge_mirrors", "merge_servers", "best_of_servers"]

# From the best to the worst.
STATES = ("unknown", "healthy", "half_open", "rate_limited", "ejected")


def merge_servers(reports: Sequence[Report]) -> dict[str, ServerState]:
    """Return the servers by provider host and address."""
    found: defaultdict[str, list[ServerReport]] = defaultdict(list)
    for report in reports:
        for name, server in report.servers.items():
            found[name].append(server)
    return {name: _server(found[name]) for name in sorted(found)}


def merge_mirrors(reports: Sequence[Report]) -> dict[str, MirrorTraffic]:
    """Return the copies by host, rule and provider."""
    found: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for report in reports:
        for mirror in report.mirrors:
            found[mirror.key].update(mirror.counts)
    return {key_of(*key): MirrorTraffic(key[2], dict(found[key])) for key in sorted(found)}


def best_of_servers(host: str, servers: Mapping[str, ServerReport]) -> list[ProviderReport]:
    """Return a worker's report of a provider with several servers: that of the best one."""
    own = [server for name, server in servers.items() if name.startswith(f"{host}/")]
    if not own:
        return []
    state = min((server.state for server in own), key=STATES.index)
    return [ProviderReport(state, 0.0, 0, 0, sum(server.in_flight for server in own), None)]


def _server(found: Sequence[ServerReport]) -> ServerState:
    # All workers scrape the same metrics page: any report that has its values will do.
    loaded = next((each for each in found if each.waiting is not None), found[0])
    return ServerState(
        state=max((each.state for each in found), key=STATES.index),
        ejected_in=sum(each.state == "ejected" for each in found),
        in_flight=sum(each.in_flight for each in found),
        waiting=loaded.waiting,
        running=loaded.running,
        cache_used=loaded.cache_used,
        adapters=loaded.adapters,
    )
