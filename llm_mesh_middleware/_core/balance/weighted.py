"""Weighted balancing: a draw in proportion to the weights."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec

from ..values.messages import ClientRequest
from .balancer import Candidate

__all__ = ["Weighted", "draw"]


class Weighted(msgspec.Struct, frozen=True):
    """Draws backends in proportion to their weights; endpoints of one backend share its weight."""

    @property
    def reads_quota(self) -> bool:
        """False: reported rate limits are ignored."""
        return False

    def pick(
        self,
        candidates: Sequence[Candidate],
        call: ClientRequest,
        random: Callable[[], float],
        now: float,
    ) -> Candidate:
        """Draw a candidate."""
        if len(candidates) == 1:
            return candidates[0]
        endpoints = Counter(id(each.backend) for each in candidates)
        weights = [each.backend.weight / endpoints[id(each.backend)] for each in candidates]
        return candidates[draw(weights, random)]

    def lacks_key(self, call: ClientRequest) -> bool:
        """Return False: there is no key."""
        return False


def draw(weights: Sequence[float], random: Callable[[], float]) -> int:
    """Return an index, drawn in proportion to the weights."""
    bounds = tuple(accumulate(weights))
    return bisect_right(bounds, random() * bounds[-1])
