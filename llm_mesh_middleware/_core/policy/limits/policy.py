"""Limits and budgets as a policy: reserve what a call may use, settle what it has used.

reserve   one question to the store for all items of the call, all or nothing
  refused       the client gets 429, and nothing was taken
  beyond        of a budget that warns: the call goes on; that falls back: to the next priority
  store away    each item says: count in this process, let pass, or refuse with 503
proceed
settle    when the exchange has ended, on every path, exactly once (`reservation`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ....exceptions import InsufficientQuota, PolicyUnavailable
from ...flow.call import Call
from ...flow.reply import Flow
from ...limiting.budget import Budget
from ...limiting.claims import BudgetClaim, Outcome, Reserve, Reserved
from ...limiting.estimate import NO_TOKENS, estimate_tokens
from ...limiting.item import Item
from ...provider.upstream import Upstream
from ...values.decision import Told
from ...values.messages import ClientRequest
from ...values.steps import Ask, Refused, Steps
from .applied import Applied, applied, prices_for
from .fields import quota_refusal_of, refusal_of, with_rate_limits
from .reservation import Reservation
from .told import told

__all__ = ["AttemptLimits", "CallLimits"]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits and budgets of one rule, but those of its attempts.

    `upstreams` are those of the rule, whose prices say what a call may cost.
    """

    items: tuple[Item, ...]
    upstreams: tuple[Upstream, ...] = ()

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that is within the limits.

        Raises:
            RateLimitExceeded: it is not.
            PolicyUnavailable: nobody knows, and an item says `onStoreFailure: deny`.
            AccessDenied: the request has not what an item counts by.
        """
        reservation, beyond = yield from _reserve(self.items, call, "", self.upstreams)
        if beyond is not None:
            call = replace(call, over_budget=beyond)
        if reservation is None:
            return (yield from proceed(call))
        call.account.at_end(reservation.settle)
        reply = yield from proceed(call)
        headers = with_rate_limits(reply.headers, reservation.shown, call.account.own_fields)
        return replace(reply, headers=headers)

    def explain(self, request: ClientRequest, provider: str, now: float) -> Iterator[Told]:
        """Yield what each item has to do with a request."""
        return told(self.items, self.upstreams, request, provider, now)


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """The limits and budgets of the attempts at one backend.

    `priced` are budgets of the whole call that let no model pass without a price.
    """

    items: tuple[Item, ...]
    upstreams: tuple[Upstream, ...] = ()
    priced: tuple[Budget, ...] = ()

    def __call__(self, call: Call, provider: str) -> Steps:
        """Return what was reserved for an attempt, None for nothing; raise as `CallLimits`."""
        self._check_prices(call)
        reservation, _ = yield from _reserve(self.items, call, provider, self.upstreams)
        if reservation is not None:
            call.account.at_end(reservation.settle)
        return reservation

    def explain(self, request: ClientRequest, provider: str, now: float) -> Iterator[Told]:
        """Yield what each item has to do with an attempt."""
        return told(self.items, self.upstreams, request, provider, now)

    def _check_prices(self, call: Call) -> None:
        for budget in self.priced:
            if not budget.holds(call.request):
                continue
            prices = prices_for(call.request.model, self.upstreams)
            if not any(price.currency == budget.currency for price in prices):
                raise InsufficientQuota(
                    f"{budget.title} admits no model without a price, and none in"
                    f" {budget.currency} is known for this one",
                    headers={"x-should-retry": "false"},
                )


def _reserve(
    items: Sequence[Item], call: Call, provider: str, upstreams: Sequence[Upstream]
) -> Steps:
    """Return a `Reservation`, or None, and the error of a budget that is left behind, or None."""
    estimate = NO_TOKENS
    if any(item.kind in ("tokens", "budget") for item in items):
        kind = call.rule, call.request.model or ""
        estimate = estimate_tokens(call.request, call.learned, kind)
    wanted = applied(items, call, provider, estimate, upstreams)
    if not wanted:
        return None, None
    unchecked: list[Applied] = []
    answer = yield Ask(call.store, Reserve(tuple(each.claim for each in wanted)))
    if isinstance(answer, Refused):
        wanted, unchecked = _without_store(wanted, call)
        answer = Reserved(True, ())
        if wanted:
            claims = tuple(each.claim for each in wanted)
            answer = yield Ask(call.store, Reserve(claims, is_local=True))
    reserved: Reserved = answer
    outcomes = list(zip(wanted, reserved.outcomes, strict=True))
    _tell(call, outcomes, is_granted=reserved.is_granted)
    enforced = [(each, outcome) for each, outcome in outcomes if not each.item.is_shadow]
    if not reserved.is_granted:
        raise _refusal(enforced, call)
    taken = [
        each for each, outcome in outcomes if not outcome.wait_us or each.item.kind == "budget"
    ]
    reservation = Reservation(
        call, provider, estimate, upstreams, taken + unchecked, enforced, reserved
    )
    return reservation, _beyond(enforced, call)


def _tell(call: Call, outcomes: Sequence[tuple[Applied, Outcome]], *, is_granted: bool) -> None:
    """Tell observers what each item has decided."""
    for each, outcome in outcomes:
        if outcome.wait_us:
            call.account.decided(each.decision(_refused(each.item), outcome))
        elif is_granted:
            call.account.decided(each.decision("allowed", outcome))
        if isinstance(each.item, Budget) and each.item.warn_at:
            _warn(call, each, each.item, outcome)


def _refused(item: Item) -> str:
    if item.is_shadow:
        return "shadow_refused"
    if isinstance(item, Budget) and item.on_exceeded != "deny":
        return "exceeded" if item.on_exceeded == "warn" else "fallback"
    return "refused"


def _warn(call: Call, each: Applied, budget: Budget, outcome: Outcome) -> None:
    """Tell observers that a threshold of a budget has been passed, once for each window."""
    share = outcome.spent / each.of
    threshold = call.warnings.passed(each.claim.key, share, budget.warn_at)
    if threshold is not None:
        decision = each.decision("warned", outcome)
        call.account.decided(decision)
        call.warnings.tell(decision)


def _refusal(enforced: Sequence[tuple[Applied, Outcome]], call: Call) -> Exception:
    for each, outcome in enforced:
        budget = each.item
        if outcome.wait_us and isinstance(budget, Budget) and budget.on_exceeded == "deny":
            return quota_refusal_of(budget, call.wall_clock())
    return refusal_of(enforced)


def _beyond(enforced: Sequence[tuple[Applied, Outcome]], call: Call) -> InsufficientQuota | None:
    """Return the error to raise if the rule has no lower priority that the call could go to."""
    for each, outcome in enforced:
        budget = each.item
        if outcome.wait_us and isinstance(budget, Budget) and budget.on_exceeded == "fallback":
            return quota_refusal_of(budget, call.wall_clock())
    return None


def _without_store(wanted: list[Applied], call: Call) -> tuple[list[Applied], list[Applied]]:
    """Return what is counted by this process while the store is away, and what is not checked.

    Money that is spent unchecked is counted when the store is back.

    Raises:
        PolicyUnavailable: an item wants no call to pass uncounted.
    """
    for each in wanted:
        if each.item.on_store_failure != "local":
            call.account.decided(each.decision("unchecked"))
        if each.item.on_store_failure == "deny" and not each.item.is_shadow:
            raise PolicyUnavailable(f"{each.item.title} cannot be checked now; try again later")
    local = [each for each in wanted if each.item.on_store_failure == "local"]
    unchecked = [
        each
        for each in wanted
        if each.item.on_store_failure != "local" and isinstance(each.claim, BudgetClaim)
    ]
    return local, unchecked
