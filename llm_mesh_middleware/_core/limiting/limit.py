"""One limit of a policy, compiled: the requests it applies to, its unit, and its amount."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec
from msgspec.structs import force_setattr

from ..values.messages import ClientRequest
from ..values.usage import Usage
from .bucket import Rate
from .estimate import Estimate
from .item import Condition, Item

__all__ = ["TOTAL", "Limit", "Override", "Weights"]

_MAX_AMOUNT = 10**12


class Weights(msgspec.Struct, frozen=True, gc=False):
    """The weight of a token of each class, in thousandths. The classes do not overlap."""

    input: int = 1000
    cache_read: int = 1000
    cache_write: int = 1000
    output: int = 1000
    reasoning: int = 1000

    def used(self, usage: Usage) -> int:
        """Return what a call has used, rounded up."""
        fresh, visible = usage.input_tokens, usage.output_tokens
        read, written = usage.cache_read_tokens, usage.cache_write_tokens
        reasoned = usage.reasoning_tokens
        if self is TOTAL and read + written <= fresh and reasoned <= visible:
            return fresh + visible  # the classes add up to them
        fresh, visible = fresh - read - written, visible - reasoned
        thousandths = (
            self.input * (fresh if fresh > 0 else 0)
            + self.cache_read * read
            + self.cache_write * written
            + self.output * (visible if visible > 0 else 0)
            + self.reasoning * reasoned
        )
        return -(-thousandths // 1000)


# Every token counts once, the default.
TOTAL = Weights()


class Override(msgspec.Struct, frozen=True):
    """Another amount for requests that match: a rate, or slots."""

    match: Condition
    rate: Rate | None = None
    slots: int = 0


class Limit(Item, frozen=True, kw_only=True):
    """One number of one item of a policy.

    A limit of `concurrency` has `slots`, others have a `rate`; `rate_from` is the attribute that
    overrides the rate's amount. `is_one_rate`: the rate is the same for all requests. `is_plain`:
    each token counts once, and the expected ones are reserved.
    """

    shown: ClassVar[tuple[str, ...]] = (*Item.shown, "rate", "slots")

    rate: Rate | None = None
    slots: int = 0
    overrides: tuple[Override, ...] = ()
    rate_from: str = ""
    weights: Weights = TOTAL
    reserve: Literal["auto", "max", "none"] = "auto"
    is_one_rate: bool = True
    is_plain: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        force_setattr(self, "is_one_rate", not (self.overrides or self.rate_from))
        is_plain = self.kind == "tokens" and self.reserve == "auto" and self.weights == TOTAL
        force_setattr(self, "is_plain", is_plain)

    def rate_for(self, request: ClientRequest) -> Rate | None:
        """Return the rate that applies to a request."""
        if self.is_one_rate:
            return self.rate
        rate = next((o.rate for o in self.overrides if o.match.holds(request)), self.rate)
        stated = request.attributes.get(self.rate_from) if self.rate_from else None
        if rate is not None and stated is not None and stated.isascii() and stated.isdigit():
            amount = int(stated[:13])
            if 0 < amount <= _MAX_AMOUNT:
                return Rate(amount, rate.period_us, amount)
        return rate

    def slots_for(self, request: ClientRequest) -> int:
        """Return the slots that apply to a request."""
        return next((o.slots for o in self.overrides if o.match.holds(request)), self.slots)

    def need(self, estimate: Estimate) -> int:
        """Return the units to reserve."""
        if self.kind == "requests":
            return 1
        if self.reserve == "none":
            return 0
        output = estimate.max_output if self.reserve == "max" else estimate.output
        weights = self.weights  # as if nothing came from a cache
        if weights is TOTAL:
            return estimate.input + output
        return -(-(weights.input * estimate.input + weights.output * output) // 1000)
