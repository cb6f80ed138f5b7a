"""Limits as a policy: reserve what a call may use, settle what it has used.

reserve   one question to the store for all limits of the call, all or nothing
  refused       the client gets 429, and nothing was taken
  store away    each limit says: count in this process, let pass, or refuse with 503
proceed
settle    when the exchange has ended, on every path, exactly once:
  tokens        the difference between used and reserved
  slots         given back
  requests      stay counted
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from ....exceptions import AccessDenied, PolicyUnavailable
from ...flow.call import Call, Ending
from ...flow.reply import Flow
from ...limiting.bucket import Rate
from ...limiting.claims import (
    BucketChange,
    BucketClaim,
    Change,
    Claim,
    Outcome,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
    Store,
)
from ...limiting.estimate import Estimate, estimate_tokens
from ...limiting.limit import Limit
from ...values.decision import Decision
from ...values.messages import ClientRequest
from ...values.steps import Ask, Refused, Steps
from .fields import refusal_of, with_rate_limits

__all__ = ["AttemptLimits", "Applied", "CallLimits", "applied"]

# How long a slot outlives the longest call whose process has died.
_GRACE_S = 10.0
_NO_TOKENS = Estimate(0, 0, 0)


class Applied(msgspec.Struct, frozen=True):
    """A limit that a request is under: what it asks of the store for `units`."""

    limit: Limit
    claim: Claim
    units: int
    rate: Rate | None

    def decision(self, decision: str) -> Decision:
        """Return the decision as observers are told of it."""
        return Decision(self.limit.policy, self.limit.name, self.limit.kind, decision)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits of one rule, but those of its attempts."""

    limits: tuple[Limit, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that is within the limits.

        Raises:
            RateLimitExceeded: it is not.
            PolicyUnavailable: nobody knows, and a limit says `onStoreFailure: deny`.
            AccessDenied: the request has not what a limit counts by.
        """
        reservation = yield from _reserve(self.limits, call, "")
        if reservation is None:
            return (yield from proceed(call))
        call.account.at_end(reservation.settle)
        reply = yield from proceed(call)
        return replace(reply, headers=with_rate_limits(reply.headers, reservation.shown))


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """The limits of the attempts at one backend."""

    limits: tuple[Limit, ...]

    def __call__(self, call: Call, provider: str) -> Steps:
        """Return what was reserved for an attempt, None for nothing; raise as `CallLimits`."""
        reservation = yield from _reserve(self.limits, call, provider)
        if reservation is not None:
            call.account.at_end(reservation.settle)
        return reservation


def applied(
    limits: Sequence[Limit], request: ClientRequest, provider: str, estimate: Estimate, hold_us: int
) -> list[Applied]:
    """Return what the limits that hold for a request ask of the store.

    Raises:
        AccessDenied: the request has not what a limit counts by.
    """
    found = []
    for limit in limits:
        if not limit.holds(request):
            continue
        values = limit.values(request, provider)
        if None in values and limit.on_missing != "share":
            if limit.on_missing == "deny":
                missing = limit.by[values.index(None)]
                raise AccessDenied(
                    f"limit {limit.name!r} counts by {missing}, which this request does not have"
                )
            continue
        key = limit.key(values)
        rate = limit.rate_for(request)
        if rate is None:
            slots = limit.slots_for(request)
            found.append(Applied(limit, SlotClaim(key, slots, hold_us, limit.is_shadow), 1, None))
            continue
        units = limit.need(estimate)
        claim = BucketClaim(key, rate.cost_us(units), rate.capacity_us, limit.is_shadow)
        found.append(Applied(limit, claim, units, rate))
    return found


def _reserve(limits: Sequence[Limit], call: Call, provider: str) -> Steps:
    """Return a `_Reservation`, or None if there is nothing to settle or to show."""
    kind = call.rule, call.request.model or ""
    estimate = _NO_TOKENS
    if any(limit.kind == "tokens" for limit in limits):
        estimate = estimate_tokens(call.request, call.learned, kind)
    hold_us = int((call.timeout_s + _GRACE_S) * 1e6)
    wanted = applied(limits, call.request, provider, estimate, hold_us)
    if not wanted:
        return None
    answer = yield Ask(call.store, Reserve(tuple(each.claim for each in wanted)))
    if isinstance(answer, Refused):
        wanted = _without_store(wanted, call)
        if not wanted:
            return None
        local = Reserve(tuple(each.claim for each in wanted), is_local=True)
        answer = yield Ask(call.store, local)
    reserved: Reserved = answer
    outcomes = list(zip(wanted, reserved.outcomes, strict=True))
    for each, outcome in outcomes:
        if outcome.wait_us:
            refused = "shadow_refused" if each.limit.is_shadow else "refused"
            call.account.decided(each.decision(refused))
        elif reserved.is_granted:
            call.account.decided(each.decision("allowed"))
    enforced = [(each, outcome) for each, outcome in outcomes if not each.limit.is_shadow]
    shown = [(each.limit, each.rate, outcome) for each, outcome in enforced]
    if not reserved.is_granted:
        raise refusal_of(shown)
    taken = [each for each, outcome in outcomes if not outcome.wait_us]
    return _Reservation(call, kind, estimate, taken, shown, reserved)


def _without_store(wanted: list[Applied], call: Call) -> list[Applied]:
    """Return what is counted by this process while the store is away.

    Raises:
        PolicyUnavailable: a limit wants no call to pass uncounted.
    """
    for each in wanted:
        if each.limit.on_store_failure != "local":
            call.account.decided(each.decision("unchecked"))
        if each.limit.on_store_failure == "deny" and not each.limit.is_shadow:
            raise PolicyUnavailable(
                f"limit {each.limit.name!r} cannot be checked now; try again later"
            )
    return [each for each in wanted if each.limit.on_store_failure == "local"]


class _Reservation:
    """What one call or attempt has taken; it is settled once."""

    __slots__ = (
        "_account",
        "_estimate",
        "_is_local",
        "_kind",
        "_learned",
        "_slot",
        "_store",
        "_taken",
        "shown",
    )

    def __init__(
        self,
        call: Call,
        kind: tuple[str, str],
        estimate: Estimate,
        taken: list[Applied],
        shown: list[tuple[Limit, Rate | None, Outcome]],
        reserved: Reserved,
    ) -> None:
        self._store: Store = call.store
        self._account = call.account
        self._learned = call.learned
        self._kind = kind
        self._estimate = estimate
        self._taken = taken
        self._slot, self._is_local = reserved.slot, reserved.is_local
        self.shown = shown

    def settle(self, ending: Ending) -> None:
        """Correct what was reserved by what was used."""
        taken, self._taken = self._taken, []
        changes: list[Change] = []
        for each in taken:
            if each.rate is None:
                changes.append(SlotRelease(each.claim.key, self._slot))
            elif each.limit.kind == "tokens":
                used = self._used(each, ending)
                change = each.rate.cost_us(used) - each.rate.cost_us(each.units)
                if change:
                    changes.append(BucketChange(each.claim.key, change))
                self._account.settled(each.decision("allowed"), each.units, used)
        if taken and ending.usage is not None and self._estimate is not _NO_TOKENS:
            self._learned.learn(self._kind, self._estimate, ending.usage)
        if changes:
            self._store.settle(Settle(tuple(changes), self._is_local))

    def release(self) -> None:
        """Give everything back: the attempt came to nothing."""
        self.settle(Ending(None))

    def _used(self, each: Applied, ending: Ending) -> int:
        weights, estimate = each.limit.weights, self._estimate
        if ending.usage is not None:
            return weights.used(ending.usage)
        if ending.has_reply:
            if ending.events is None:
                return weights.of(estimate.input, estimate.output)
            return weights.of(estimate.input, ending.events)  # about one token each
        return weights.of(estimate.input, 0) if ending.is_cut_off else 0
