"""The backends of one rule, by priority."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from ..dialect import ServedOperation
from ..provider.upstream import Upstream
from ..values.steps import Steps

__all__ = ["Backend", "Backends", "Gate", "Tiers"]

# Admits a call before an attempt (`flow.call.AttemptPolicy`).
Gate = Callable[[Any, str], Steps]


class Backend(msgspec.Struct, frozen=True):
    """A weighted pointer to an upstream; `priority` 0 is served first.

    `policy` admits each attempt. `is_pool`: its endpoints are model servers that report their load.
    `occurrence` is the number of earlier backends of the same upstream, which have other models.
    """

    upstream: Upstream
    weight: int
    priority: int = 0
    policy: Gate | None = None
    is_pool: bool = False
    occurrence: int = 0


Tiers = tuple[tuple[Backend, ...], ...]


class Backends:
    """The backends of one rule in tiers of the same priority.

    Weights are proportions within a tier, not percentages. The only backend of a tier gets all its
    requests whatever its weight, as in Istio; among several, weight 0 is never picked.
    `is_watched`: the servers of some backends are watched. `has_picker`: some backends have an
    endpoint picker.
    """

    __slots__ = ("_serving", "has_picker", "is_watched", "tiers")

    def __init__(self, backends: Sequence[Backend]) -> None:
        by_priority = sorted(backends, key=lambda backend: backend.priority)
        self.tiers = tuple(
            _usable(tuple(tier))
            for _, tier in groupby(by_priority, key=lambda backend: backend.priority)
        )
        if not self.tiers or not all(self.tiers):
            raise ValueError("the weights of the backends of a priority add up to nothing")
        self.is_watched = any(backend.upstream.watch is not None for backend in self)
        self.has_picker = any(backend.upstream.picker is not None for backend in self)
        self._serving: dict[ServedOperation, Tiers] = {}

    def __iter__(self) -> Iterator[Backend]:
        for tier in self.tiers:
            yield from tier

    def __len__(self) -> int:
        return sum(map(len, self.tiers))

    def serving(self, operation: ServedOperation) -> Tiers:
        """Return the tiers without backends that cannot serve `operation`."""
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
