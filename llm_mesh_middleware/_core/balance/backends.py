"""Which backend of a rule: by priority, by weight, by a key that sticks."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, groupby

from ..provider.upstream import Upstream
from ..values.operations import Operation

__all__ = ["Backend", "Backends", "Tiers", "weighted_pick"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A weighted pointer to an upstream; `priority` 0 is served first."""

    upstream: Upstream
    weight: int
    priority: int = 0


Tiers = tuple[tuple[Backend, ...], ...]


class Backends:
    """The backends of one rule in tiers of the same priority.

    Weights are proportions within a tier, not per cent. A tier of one takes everything whatever its
    weight, as in Istio; weight 0 beside others is never picked.
    """

    __slots__ = ("_serving", "tiers")

    def __init__(self, backends: Sequence[Backend]) -> None:
        by_priority = sorted(backends, key=lambda backend: backend.priority)
        self.tiers = tuple(
            _usable(tuple(tier))
            for _, tier in groupby(by_priority, key=lambda backend: backend.priority)
        )
        if not self.tiers or not all(self.tiers):
            raise ValueError("the weights of the backends of a priority add up to nothing")
        self._serving: dict[Operation, Tiers] = {}

    def __iter__(self) -> Iterator[Backend]:
        for tier in self.tiers:
            yield from tier

    def __len__(self) -> int:
        return sum(map(len, self.tiers))

    def serving(self, operation: Operation) -> Tiers:
        """The tiers without the backends that know no path for `operation`."""
        tiers = self._serving.get(operation)
        if tiers is None:
            able = (
                tuple(backend for backend in tier if operation in backend.upstream.targets)
                for tier in self.tiers
            )
            tiers = self._serving[operation] = tuple(tier for tier in able if tier)
        return tiers


def _usable(tier: tuple[Backend, ...]) -> tuple[Backend, ...]:
    return tier if len(tier) == 1 else tuple(b for b in tier if b.weight > 0)


def weighted_pick(
    backends: Sequence[Backend], random: Callable[[], float], sticky_key: str | None = None
) -> Backend:
    """One of `backends` in proportion to the weights.

    Args:
        backends: at least one.
        random: numbers in [0, 1).
        sticky_key: requests with the same key get the same backend, and of those with other keys
            only as many change places as a changed weight demands (weighted rendezvous hashing).
    """
    if len(backends) == 1:
        return backends[0]
    if sticky_key is not None:
        return max(backends, key=lambda backend: _score(backend, sticky_key))
    bounds = tuple(accumulate(backend.weight for backend in backends))
    return backends[bisect_right(bounds, random() * bounds[-1])]


def _score(backend: Backend, key: str) -> float:
    """The logarithmic method: the probability of the highest score is in proportion to weights."""
    identity = backend.upstream.identity
    text = f"{identity.namespace}/{identity.name}\0{key}".encode("utf-8", "surrogatepass")
    # 52 bits and a half: more would be rounded, at the upper end to 1, which has no score.
    drawn = int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 12
    return -max(backend.weight, 1) / math.log((drawn + 0.5) / 2.0**52)
