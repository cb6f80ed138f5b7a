"""Versions of a configuration that wait before they come into use.

Many tools empty a file before they fill it: `helm template > mesh.yaml`, a copy over a slow
network, some editors. In between, the file may be valid with a part missing. So a version that
removes something is used only after it has stayed the same for a while; one that only adds or
changes something is used at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .._compile import Compiled
from .._core.routing.table import RoutingTable

__all__ = ["Held", "lost_parts", "settle_time"]

_LOOKS = 3
_LONGEST_S = 3.0


class Held(msgspec.Struct, frozen=True):
    """A version that waits until `until`, on the monotonic clock."""

    compiled: Compiled
    until: float


def settle_time(interval_s: float) -> float:
    """Return how long a version must stay the same, for a source read every `interval_s`."""
    return min(_LOOKS * interval_s, _LONGEST_S)


def lost_parts(old: RoutingTable, new: RoutingTable) -> tuple[str, ...]:
    """Name what `new` lacks of `old`: virtual hosts, rules, backends, and headers such as keys."""
    remaining = set(_parts(new))
    return tuple(dict.fromkeys(part for part in _parts(old) if part not in remaining))


def _parts(table: RoutingTable) -> Iterator[str]:
    for host in table.hosts:
        yield f"host {host.name}"
        for rule in host.rules:
            yield f"rule {rule.name} of {host.name}"
            for backend in rule.backends:
                place = f"{backend.upstream.host} in rule {rule.name} of {host.name}"
                yield f"backend {place}"
                for name, _ in backend.upstream.headers:
                    yield f"header {name.decode('latin-1')} for {place}"
                for operation in backend.upstream.credentials:
                    yield f"key of {place} for {operation.name}"
