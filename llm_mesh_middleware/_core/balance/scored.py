"""Balancing by score: the better of two backends that are drawn by weight.

Two choices rather than the best of all, so that processes with the same data do not all pick the
same backend. Cost is the exception, since a price does not change with the load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from ..values.messages import ClientRequest
from .balancer import Candidate
from .scores import POLICIES, Score
from .weighted import draw

__all__ = ["WARMUP_S", "Scored"]

WARMUP_S = 10.0


class Scored(msgspec.Struct, frozen=True):
    """Balances by `policy`, a name in `POLICIES`.

    A backend that has returned from an ejection is skipped in some draws for `warmup_s`, in fewer
    and fewer of them.
    """

    policy: str
    warmup_s: float = WARMUP_S

    @property
    def reads_quota(self) -> bool:
        """Whether it uses the rate limits that providers report."""
        return self.policy == "headroom"

    def pick(
        self,
        candidates: Sequence[Candidate],
        call: ClientRequest,
        random: Callable[[], float],
        now: float,
    ) -> Candidate:
        """Return the better of two candidates; the cheapest of all by cost."""
        if len(candidates) > 1:
            candidates = self._warm(candidates, random, now)
        if len(candidates) == 1:
            return candidates[0]
        weights = _weights(candidates)
        drawn = _draw_two(weights, random)
        if self.policy == "cost":
            drawn = (*drawn, *(i for i in range(len(candidates)) if i not in drawn))
        among = [candidates[index] for index in drawn]
        scores = POLICIES[self.policy](among, [weights[i] for i in drawn], call, now)
        return among[min(range(len(among)), key=scores.__getitem__)]

    def lacks_key(self, call: ClientRequest) -> bool:
        """Return False: there is no key."""
        return False

    def scores(
        self, candidates: Sequence[Candidate], call: ClientRequest, now: float
    ) -> list[Score]:
        """Return the scores of candidates of one priority."""
        return POLICIES[self.policy](candidates, _weights(candidates), call, now)

    def _warm(
        self, candidates: Sequence[Candidate], random: Callable[[], float], now: float
    ) -> Sequence[Candidate]:
        warmth = [each.health.warmth(now, self.warmup_s) for each in candidates]
        if min(warmth) == 1.0:
            return candidates
        drawn = [
            each
            for each, share in zip(candidates, warmth, strict=True)
            if share == 1.0 or random() < share
        ]
        return drawn or candidates


def _weights(candidates: Sequence[Candidate]) -> list[float]:
    """Return weights; the endpoints of one backend share its weight.

    The only backend of a priority may have the weight 0, which is then ignored.
    """
    endpoints = Counter(id(each.backend) for each in candidates)
    return [(each.backend.weight or 1) / endpoints[id(each.backend)] for each in candidates]


def _draw_two(weights: Sequence[float], random: Callable[[], float]) -> tuple[int, ...]:
    first = draw(weights, random)
    others = [index for index in range(len(weights)) if index != first]
    if len(others) == 1:
        return first, others[0]
    return first, others[draw([weights[index] for index in others], random)]
