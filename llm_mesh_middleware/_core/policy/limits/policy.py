"""Limits and budgets as a policy: reserve what a call may use, settle what it has used.

reserve   one question to the store for all items of the call, all or nothing
  refused       the client gets 429, and nothing was taken
  beyond        of a budget that warns: the call goes on; that falls back: to the next priority
  store away    each item says: count in this process, let pass, or refuse with 503
proceed
settle    when the exchange has ended, on every path, exactly once (`reservation`)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import force_setattr, replace

from ....exceptions import AnswerableError, InsufficientQuota, PolicyUnavailable
from ...flow.call import Call
from ...flow.reply import Flow, Reply
from ...limiting.budget import Budget
from ...limiting.claims import BudgetClaim, Outcome, Reserve, Reserved, Store
from ...limiting.estimate import NO_TOKENS, Estimate, estimate_tokens
from ...limiting.item import Item
from ...provider.upstream import Upstream
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from ...values.steps import Ask, Refused, Step, Steps
from .applied import Applied, applied, prices_for
from .explaining import explain_items
from .fields import Shown, quota_refusal_of, refusal_of, with_rate_limits
from .reservation import Reservation, past_of

__all__ = ["AttemptLimits", "CallLimits"]


class CallLimits(msgspec.Struct, frozen=True):
    """The limits and budgets of one rule, but those of its attempts.

    `upstreams` are those of the rule, whose prices say what a call may cost. `settles`: the end of
    a call changes what an item has taken.
    """

    items: tuple[Item, ...]
    upstreams: tuple[Upstream, ...] = ()
    counts_tokens: bool = False
    settles: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "counts_tokens", _count_tokens(self.items))
        force_setattr(self, "settles", any(item.is_settled for item in self.items))

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that is within the limits.

        Raises:
            RateLimitExceeded: it is not.
            PolicyUnavailable: the store is away, and an item says `onStoreFailure: deny`.
            AccessDenied: the request lacks a value that an item counts by.
        """
        return self.serve(call, proceed, None)

    def serve(
        self, call: Call, proceed: Callable[[Call], Flow], answer: Reserved | Refused | None
    ) -> Flow:
        """Serve a call for which the store has given this answer, None if it was not asked yet."""
        estimate = _estimate(call) if self.counts_tokens else NO_TOKENS
        wanted = applied(self.items, call, "", estimate, self.upstreams)
        if not wanted:
            return (yield from proceed(call))
        shown, _, beyond = yield from _reserve(wanted, call, "", estimate, self.upstreams, answer)
        if beyond is not None:
            call = replace(call, over_budget=beyond)
        reply = yield from proceed(call)
        account = call.account
        headers, account.own_fields = with_rate_limits(reply.headers, shown, account.own_fields)
        return Reply(reply.status, headers, reply.body)

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each item has to do with a request."""
        return explain_items(self.items, self.upstreams, request, provider, now)


class AttemptLimits(msgspec.Struct, frozen=True):
    """The limits and budgets of the attempts at one backend.

    `priced` are budgets of the whole call that let no model pass without a price.
    """

    items: tuple[Item, ...]
    upstreams: tuple[Upstream, ...] = ()
    priced: tuple[Budget, ...] = ()
    counts_tokens: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "counts_tokens", _count_tokens(self.items))

    def __call__(self, call: Call, provider: str) -> Steps:
        """Return what was reserved for an attempt, None for nothing; raise as `CallLimits`."""
        if self.priced:
            self._check_prices(call)
        estimate = _estimate(call) if self.counts_tokens else NO_TOKENS
        wanted = applied(self.items, call, provider, estimate, self.upstreams)
        if not wanted:
            return None
        _, reservation, _ = yield from _reserve(wanted, call, provider, estimate, self.upstreams)
        return reservation

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each item has to do with an attempt."""
        return explain_items(self.items, self.upstreams, request, provider, now)

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


def _count_tokens(items: Sequence[Item]) -> bool:
    """Return whether any item counts tokens, so that they must be estimated."""
    return any(item.kind == "tokens" or item.kind == "budget" for item in items)


def _estimate(call: Call) -> Estimate:
    """Return the tokens that a call may take."""
    return estimate_tokens(call.request, past_of(call))


def _reserve(
    wanted: list[Applied],
    call: Call,
    provider: str,
    estimate: Estimate,
    upstreams: Sequence[Upstream],
    answer: Reserved | Refused | None = None,
) -> Steps:
    """Reserve what is wanted, to be settled when the call ends; `answer` is the store's, if any.

    Returns what clients are told of; the `Reservation`, or None if there is nothing to settle; the
    error of a budget that is left behind, or None.
    """
    unchecked: list[Applied] = []
    if answer is None:
        answer = yield from _ask(call.state.store, wanted)
    reserved = None if isinstance(answer, Refused) else answer
    if reserved is None:
        wanted, unchecked = _without_store(wanted, call)
        reserved = Reserved(True, ())
        if wanted:
            claims = tuple([each.claim for each in wanted])
            reserved = yield Ask(call.state.store, Reserve(claims, is_local=True))
    shown: list[tuple[Applied, Outcome]] = []
    taken = unchecked
    account, is_observed, is_beyond = call.account, call.account.is_observed, False
    for pair in zip(wanted, reserved.outcomes, strict=True):
        each, outcome = pair
        item, wait_us = each.item, outcome.wait_us
        if is_observed or item.kind == "budget":
            _report(call, each, outcome, is_granted=reserved.is_granted)
        if not item.is_shadow:
            shown.append(pair)
            is_beyond = is_beyond or wait_us > 0
        if item.is_settled and (not wait_us or item.kind == "budget"):
            taken.append(each)
    if not reserved.is_granted:
        raise _refusal(shown, call)
    reservation = None
    if taken:
        first, slot, is_local = len(account.charges), reserved.slot, reserved.is_local
        reservation = Reservation(call, provider, estimate, upstreams, taken, slot, is_local, first)
        account.settle_at_end(reservation.settle)
    return shown, reservation, _beyond(shown, call) if is_beyond else None


def _ask(store: Store, wanted: Sequence[Applied]) -> Generator[Step, Any, Reserved | Refused]:
    """Return what the store says; it is asked without a step if it never waits."""
    request = Reserve(tuple([each.claim for each in wanted]))
    if not getattr(store, "answers_at_once", False):
        return (yield Ask(store, request))  # type: ignore[no-any-return]
    try:
        return store.ask(request, None)
    except AnswerableError as error:
        return Refused(error)


def _report(call: Call, each: Applied, outcome: Outcome, *, is_granted: bool) -> None:
    """Tell observers what an item has decided."""
    account = call.account
    if account.is_observed:
        if outcome.expired:
            account.expired(each.decision("expired"), outcome.expired)
        if outcome.wait_us:
            account.decided(each.decision(_refused(each.item), outcome))
        elif is_granted:
            account.decided(each.decision("allowed", outcome))
    budget = each.item
    if isinstance(budget, Budget) and budget.warn_at:
        _warn(call, each, budget, outcome)


def _refused(item: Item) -> str:
    if item.is_shadow:
        return "shadow_refused"
    if isinstance(item, Budget) and item.on_exceeded != "deny":
        return "exceeded" if item.on_exceeded == "warn" else "fallback"
    return "refused"


def _warn(call: Call, each: Applied, budget: Budget, outcome: Outcome) -> None:
    """Tell observers that a threshold of a budget has been passed, once for each window."""
    share = outcome.spent / each.of
    threshold = call.state.warnings.passed(each.claim.key, share, budget.warn_at)
    if threshold is not None:
        decision = each.decision("warned", outcome)
        call.account.decided(decision)
        call.state.warnings.report(decision)


def _refusal(enforced: Shown, call: Call) -> Exception:
    for each, outcome in enforced:
        budget = each.item
        if outcome.wait_us and isinstance(budget, Budget) and budget.on_exceeded == "deny":
            return quota_refusal_of(budget, call.wall_clock())
    return refusal_of(enforced, call.random())


def _beyond(enforced: Shown, call: Call) -> InsufficientQuota | None:
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
