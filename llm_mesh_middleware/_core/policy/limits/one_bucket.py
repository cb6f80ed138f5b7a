"""One limit of tokens or requests, which is what most calls are under, in the fewest steps.

    a value is missing, or new       ──> CallLimits
    there is not enough              ──> CallLimits, which refuses
    the store cannot be reached      ──> CallLimits
    otherwise                        take, proceed, settle

    a gate     the store is memory and the limit the rule's only policy: no layer, no claim
    a layer    otherwise

What is decided is the same; only the values that say it to a store are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...flow.call import Account, Call
from ...flow.observer import Observation
from ...flow.reply import Flow, Reply
from ...flow.state import MeshState
from ...limiting.bucket import Rate
from ...limiting.claims import BucketChange, BucketClaim, Reserve, Reserved, Settle
from ...limiting.estimate import Estimate, Past, expected_tokens
from ...limiting.limit import Limit
from ...private import PerCall
from ...values.decision import Decision
from ...values.messages import ClientRequest
from ...values.steps import Ask
from .fields import quota_fields, with_rate_limit
from .policy import CallLimits
from .reservation import used_tokens

__all__ = ["BucketLimit", "Taken"]


class BucketLimit(CallLimits, frozen=True, kw_only=True):
    """A single limit with a rate."""

    limit: Limit

    def admit(
        self, request: ClientRequest, rule: str, state: MeshState, observation: Observation
    ) -> Taken | None:
        """Take what a call may use, if the store is memory; None if `CallLimits` must see to it."""
        store = state.quick_store
        if store is None or (taken := self._wanted(request, rule, state)) is None:
            return None
        remaining_us = store.take(taken.key, taken.need_us, taken.rate.capacity_us)
        if remaining_us is None:
            return None
        taken.remaining_us = remaining_us
        if observation.__class__ is not Observation:
            observation.decided(taken.decision(remaining_us))
        return taken

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that is within the limit; raise as `CallLimits`."""
        answer: Any = None
        remaining_us: int | None = None
        account, store = call.account, call.state.quick_store
        wanted = self._wanted(call.request, call.context.rule.name, call.state)
        if wanted is not None and store is not None:
            remaining_us = store.take(wanted.key, wanted.need_us, wanted.rate.capacity_us)
        elif wanted is not None:
            claim = BucketClaim(wanted.key, wanted.need_us, wanted.rate.capacity_us)
            answer = yield Ask(call.state.store, Reserve((claim,)))
            if answer.__class__ is Reserved and answer.is_granted:
                remaining_us = answer.outcomes[0].left
        if wanted is None or remaining_us is None:
            return (yield from self.serve(call, proceed, answer))
        if account.is_observed:
            account.decided(wanted.decision(remaining_us))
        if wanted.settles:
            wanted.first = len(account.charges)
            account.settle_at_end(wanted.settle)
        reply = yield from proceed(call)
        headers, account.own_fields = with_rate_limit(
            reply.headers, wanted.rate, self.limit.kind, remaining_us, account.own_fields
        )
        return Reply(reply.status, headers, reply.body)

    def _wanted(self, request: ClientRequest, rule: str, state: MeshState) -> Taken | None:
        """Return what a call would take; None if its values have not been admitted before."""
        limit = self.limit
        if limit.when and not limit.holds(request):
            return None
        values = limit.values
        key = limit.keys.get(values(request, ""))
        if key is None:
            return None
        rate: Any = limit.rate if limit.is_one_rate else limit.rate_for(request)  # it has one
        if not self.counts_tokens:
            return Taken(state, limit, request, rate, key, rate.unit_us)
        past = state.learned[rule, request.model or ""]
        tokens, output, most, uncorrected = expected_tokens(request, past)
        units = tokens + output if limit.is_plain else limit.need(Estimate(tokens, output, most))
        need_us = rate.cost_us(units)
        return Taken(
            state,
            limit,
            request,
            rate,
            key,
            need_us,
            True,
            units,
            past,
            uncorrected,
            tokens,
            output,
        )


class Taken(PerCall):
    """What a call has taken, and of tokens how many, the estimate, and what was learnt before.

    `settles` for tokens only. `first` is how many charges the call had before. It does not refer to
    the call, so that they are no cycle for the garbage collector.
    """

    state: MeshState
    limit: Limit
    request: ClientRequest
    rate: Rate
    key: str
    need_us: int
    settles: bool = False
    units: int = 1
    past: Past | None = None
    uncorrected: int = 0
    input: int = 0
    output: int = 0
    remaining_us: int = 0
    first: int = 0

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the header fields that tell what is left."""
        return quota_fields(self.rate, self.limit.kind, self.remaining_us)

    def settle(self, account: Account) -> None:
        """Correct what was taken by what was used."""
        usage, weights = account.usage, self.limit.weights
        if usage is not None and not account.charges:  # as nearly always
            used = weights.used(usage)
        else:
            estimate = Estimate(self.input, self.output, 0, self.uncorrected)
            used = used_tokens(weights, account, account.counted(self.first), estimate)
        if account.is_observed:
            account.settled(self.decision(None), self.units, used)
        if usage is not None and self.past is not None:
            self.past.learn(self.uncorrected, usage)
        change_us = self.rate.cost_us(used) - self.need_us
        if not change_us:
            return
        store = self.state.quick_store
        if store is not None:
            store.change(self.key, change_us)
        else:
            self.state.store.settle(Settle((BucketChange(self.key, change_us),)))

    def decision(self, remaining_us: int | None) -> Decision:
        """Return the decision for observers, with the level if it is known."""
        limit, rate = self.limit, self.rate
        by = limit.values(self.request, "")
        left = None if remaining_us is None else rate.units(remaining_us)
        return Decision(
            limit.policy, limit.name, limit.kind, "allowed", by=by, of=rate.burst, left=left
        )
