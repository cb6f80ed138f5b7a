"""One limit of tokens or requests, which is what most calls are under, in the fewest steps.

    store waits                    ──> CallLimits
    a value is missing, or new     ──> CallLimits
    there is not enough            ──> CallLimits, which refuses
    otherwise                      take, proceed, settle: no claims, no outcomes

What is decided is the same; only the values that say it to a store are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...flow.call import Account, Call, Ending
from ...flow.reply import Flow, Reply
from ...limiting.bucket import Rate
from ...limiting.claims import QuickStore
from ...limiting.estimate import NO_TOKENS, Estimate, Learned, estimate_tokens
from ...limiting.limit import Limit
from ...values.decision import Decision
from .fields import with_rate_limit
from .policy import CallLimits
from .reservation import used_tokens

__all__ = ["BucketLimit"]


class BucketLimit(CallLimits, frozen=True, kw_only=True):
    """A single limit with a rate."""

    limit: Limit

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that is within the limit; raise as `CallLimits`."""
        limit, request = self.limit, call.request
        store: Any = call.store  # a `QuickStore` if it answers at once
        left_us: int | None = None
        if getattr(store, "answers_at_once", False) and (not limit.when or limit.holds(request)):
            values = limit.values(request, "")
            key: Any = limit.keys.get(values)  # of values that have been admitted before
            rate: Any = limit.rate if limit.is_one_rate else limit.rate_for(request)  # it has one
            if key is not None:
                estimate, kind = NO_TOKENS, ("", "")
                units, need_us = 1, rate.unit_us
                if self.counts_tokens:
                    kind = call.rule, request.model or ""
                    estimate = estimate_tokens(request, call.learned, kind)
                    units = limit.need(estimate)
                    need_us = rate.cost_us(units)
                left_us = store.take(key, need_us, rate.capacity_us)
        if left_us is None:
            return (yield from CallLimits.__call__(self, call, proceed))
        account = call.account
        if account.is_observed:
            account.decided(_decision(limit, values, rate, rate.units(left_us)))
        if self.counts_tokens:
            first, learned = len(account.charges), call.learned
            taken = _Taken(
                store,
                account,
                first,
                limit,
                rate,
                key,
                values,
                units,
                need_us,
                estimate,
                learned,
                kind,
            )
            account.settle_at_end(taken.settle)
        reply = yield from proceed(call)
        headers, account.own_fields = with_rate_limit(
            reply.headers, rate, limit.kind, left_us, account.own_fields
        )
        return Reply(reply.status, headers, reply.body)


class _Taken(msgspec.Struct):
    """The tokens that a call has taken; `first` is how many charges it had before."""

    store: QuickStore
    account: Account
    first: int
    limit: Limit
    rate: Rate
    key: str
    values: tuple[str | None, ...]
    units: int
    need_us: int
    estimate: Estimate
    learned: Learned
    kind: tuple[str, str]

    def settle(self, ending: Ending) -> None:
        """Correct what was taken by what was used."""
        account, usage, rate = self.account, ending.usage, self.rate
        charges = account.charges[self.first :] if self.first else account.charges
        used = used_tokens(self.limit.weights, ending, charges, self.estimate)
        if account.is_observed:
            account.settled(_decision(self.limit, self.values, rate, None), self.units, used)
        if usage is not None:
            self.learned.learn(self.kind, self.estimate, usage)
        change_us = rate.cost_us(used) - self.need_us
        if change_us:
            self.store.change(self.key, change_us)


def _decision(
    limit: Limit, values: tuple[str | None, ...], rate: Rate, left: int | None
) -> Decision:
    return Decision(
        limit.policy, limit.name, limit.kind, "allowed", by=values, of=rate.burst, left=left
    )
