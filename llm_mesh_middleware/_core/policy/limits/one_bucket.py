"""One limit of tokens or requests, which is what most calls are under, in the fewest steps.

    a value is missing, or new       ──> CallLimits
    there is not enough              ──> CallLimits, which refuses
    the store cannot be reached      ──> CallLimits
    otherwise                        take, proceed, settle; memory is asked without a claim

What is decided is the same; only the values that say it to a store are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...flow.call import Account, Call
from ...flow.reply import Flow, Reply
from ...limiting.bucket import Rate
from ...limiting.claims import BucketChange, BucketClaim, Reserve, Reserved, Settle
from ...limiting.estimate import Estimate, Past, estimate_tokens
from ...limiting.limit import Limit
from ...values.decision import Decision
from ...values.steps import Ask
from .fields import with_rate_limit
from .policy import CallLimits
from .reservation import past_of, used_tokens

__all__ = ["BucketLimit"]


class BucketLimit(CallLimits, frozen=True, kw_only=True):
    """A single limit with a rate."""

    limit: Limit

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that is within the limit; raise as `CallLimits`."""
        limit, request, store = self.limit, call.request, call.state.store
        answer: Any = None
        remaining_us: int | None = None
        if not limit.when or limit.holds(request):
            values = limit.values(request, "")
            key = limit.keys.get(values)  # of values that have been admitted before
            rate: Any = limit.rate if limit.is_one_rate else limit.rate_for(request)  # it has one
            if key is not None:
                units, need_us, taken = 1, rate.unit_us, None
                if self.counts_tokens:
                    past = past_of(call)
                    estimate = estimate_tokens(request, past)
                    units = limit.need(estimate)
                    need_us = rate.cost_us(units)
                    taken = _Taken(call, limit, rate, key, values, units, need_us, estimate, past)
                if getattr(store, "answers_at_once", False):
                    quick: Any = store  # a `QuickStore`
                    remaining_us = quick.take(key, need_us, rate.capacity_us)
                else:
                    claim = BucketClaim(key, need_us, rate.capacity_us)
                    answer = yield Ask(store, Reserve((claim,)))
                    if answer.__class__ is Reserved and answer.is_granted:
                        remaining_us = answer.outcomes[0].left
        if remaining_us is None:
            return (yield from self.serve(call, proceed, answer))
        account = call.account
        if account.is_observed:
            account.decided(_decision(limit, values, rate, rate.units(remaining_us)))
        if taken is not None:
            taken.first = len(account.charges)
            account.settle_at_end(taken.settle)
        reply = yield from proceed(call)
        headers, account.own_fields = with_rate_limit(
            reply.headers, rate, limit.kind, remaining_us, account.own_fields
        )
        return Reply(reply.status, headers, reply.body)


class _Taken(msgspec.Struct):
    """The tokens that a call has taken; `first` is how many charges it had before."""

    call: Call
    limit: Limit
    rate: Rate
    key: str
    values: tuple[str | None, ...]
    units: int
    need_us: int
    estimate: Estimate
    past: Past
    first: int = 0

    def settle(self, account: Account) -> None:
        """Correct what was taken by what was used."""
        units, usage, weights = self.units, account.usage, self.limit.weights
        if usage is not None and not account.charges:  # as nearly always
            used = weights.used(usage)
        else:
            used = used_tokens(weights, account, account.counted(self.first), self.estimate)
        if account.is_observed:
            account.settled(_decision(self.limit, self.values, self.rate, None), units, used)
        if usage is not None:
            self.past.learn(self.estimate, usage)
        if used == units or not (change_us := self.rate.cost_us(used) - self.need_us):
            return
        store: Any = self.call.state.store
        if getattr(store, "answers_at_once", False):
            store.change(self.key, change_us)
        else:
            store.settle(Settle((BucketChange(self.key, change_us),)))


def _decision(
    limit: Limit, values: tuple[str | None, ...], rate: Rate, left: int | None
) -> Decision:
    return Decision(
        limit.policy, limit.name, limit.kind, "allowed", by=values, of=rate.burst, left=left
    )
