"""Scores of candidates for a call now; lower scores are better.

latency     time to the first byte x calls in flight / weight
leastBusy   calls in flight / weight
cost        price of the call; then as leastBusy
headroom    used share of the provider's rate limits; then as leastBusy
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..dialect import called_model
from ..pricing.prices import Price
from ..provider.upstream import Upstream
from ..values.messages import ClientRequest
from ..values.usage import Usage
from .balancer import Candidate

__all__ = ["POLICIES", "Score", "Scorer"]

Score = tuple[float, float]
Scorer = Callable[[Sequence[Candidate], Sequence[float], ClientRequest, float], list[Score]]
"""Returns the scores of candidates, given their weights, the call and the time."""

_UNKNOWN = float("inf")
_BYTES_PER_TOKEN = 4
_USUAL_OUTPUT = 500
# Below this share a limit is about to be hit: a 429 costs more than any other choice.
_SCARCE = 0.05


def _by_latency(
    candidates: Sequence[Candidate], weights: Sequence[float], call: ClientRequest, now: float
) -> list[Score]:
    """Score by peak EWMA; unknown candidates get half of the best latency, so they are tried."""
    known = [each.health.latency.at(now) for each in candidates]
    least = min((seconds for seconds in known if seconds is not None), default=1.0)
    values = [least / 2 if seconds is None else seconds for seconds in known]
    busy = _busy(candidates, weights)
    return [(value * load, load) for value, load in zip(values, busy, strict=True)]


def _by_load(
    candidates: Sequence[Candidate], weights: Sequence[float], call: ClientRequest, now: float
) -> list[Score]:
    return [(load, 0.0) for load in _busy(candidates, weights)]


def _by_cost(
    candidates: Sequence[Candidate], weights: Sequence[float], call: ClientRequest, now: float
) -> list[Score]:
    """Score by price in the currency of the first price; candidates without a price come last."""
    usage = Usage(len(call.body) // _BYTES_PER_TOKEN, _expected_output(call))
    prices = [_price(each.backend.upstream, call) for each in candidates]
    currency = next((price.currency for price in prices if price is not None), "")
    busy = _busy(candidates, weights)
    return [(_cost(price, currency, usage), load) for price, load in zip(prices, busy, strict=True)]


def _by_headroom(
    candidates: Sequence[Candidate], weights: Sequence[float], call: ClientRequest, now: float
) -> list[Score]:
    """Score by the used share of the limits; one half if a provider does not report them."""
    scores = []
    for each, load in zip(candidates, _busy(candidates, weights), strict=True):
        remaining = each.health.quota.remaining(now, each.health.in_flight)
        used = 0.5 if remaining is None else 1.0 - remaining + (remaining < _SCARCE)
        scores.append((used, load))
    return scores


POLICIES: Final[dict[str, Scorer]] = {
    "latency": _by_latency,
    "leastBusy": _by_load,
    "cost": _by_cost,
    "headroom": _by_headroom,
}


def _busy(candidates: Sequence[Candidate], weights: Sequence[float]) -> list[float]:
    return [
        (each.health.in_flight + 1) / weight
        for each, weight in zip(candidates, weights, strict=True)
    ]


def _price(upstream: Upstream, call: ClientRequest) -> Price | None:
    return upstream.prices.find(called_model(upstream, call.model))


def _cost(price: Price | None, currency: str, usage: Usage) -> float:
    if price is None or price.currency != currency:
        return _UNKNOWN
    amount = price.amount(usage)
    return _UNKNOWN if amount is None else float(amount)


def _expected_output(call: ClientRequest) -> int:
    operation = call.operation
    limit = None if operation is None else operation.output_limit(call.fields)
    return _USUAL_OUTPUT if limit is None else limit
