"""One request as the policies of its rule see it, between routing and the first attempt.

observation  <──  Account  <──  exchange
                     └──> callbacks for the end: exactly once, on every path
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ...exceptions import ClientDisconnected, InsufficientQuota, ServerShutdown
from ..caching.flights import Flights
from ..caching.store import CacheStore
from ..limiting.claims import Store
from ..limiting.estimate import Learned
from ..limiting.warnings import Warnings
from ..pricing.charge import Charge
from ..values.decision import Decision
from ..values.messages import ClientRequest, Deadline, Failure, ResponseHead, UpstreamRequest
from ..values.selection import Selection
from ..values.steps import Steps
from ..values.summary import AnswerSummary
from ..values.usage import Usage
from .mirrors.outcome import MirrorOutcome
from .observer import Observation
from .reply import Flow

__all__ = ["Account", "AttemptPolicy", "Call", "CallPolicy", "Ending", "Held"]


_DEPARTURES = (ClientDisconnected, ServerShutdown)
_NOT_CALLED = "", None


class Ending(msgspec.Struct, frozen=True):
    """How a call ended, as far as it says what was used.

    `events` are those of a stream. `has_reply`: the client was sent a response without an error.
    `is_cut_off`: a provider may have worked on a call whose response nobody waited for. `provider`
    and `model` are those of the attempt that the reply is from, or of the last one.
    """

    usage: Usage | None
    events: int | None = None
    has_reply: bool = False
    is_cut_off: bool = False
    status: int | None = None
    error: BaseException | None = None
    summary: AnswerSummary | None = None
    charges: tuple[Charge, ...] = ()
    provider: str = ""
    model: str | None = None


class Account(Observation):
    """An observation that passes on everything, and settles accounts when the exchange ends.

    `charges` are what providers have counted so far. `own_fields` are the header fields that limits
    have added to the reply, `effects` what guards have done. `is_fallback` says that the reply is
    not of the preferred provider. `is_observed`: an observer wants decisions.
    """

    # Where each account begins; every call of a rule with policies makes one.
    is_fallback = False
    own_fields: frozenset[bytes] = frozenset()
    _waiting = _shown = _holds = 0
    _fallbacks: frozenset[int] = frozenset()
    _listed: tuple[Charge, ...] = ()  # the charges of providers with prices
    _is_stream: bool | None = None
    _summary: AnswerSummary | None = None
    _has_ended = False
    _end: tuple[int | None, BaseException | None, Usage | None] | None = None
    _overruled: tuple[int | None, BaseException] | None = None

    def __init__(self, observation: Observation, *, shows_effects: bool = True) -> None:
        """`observation` is notified of everything first; `shows_effects` is for clients."""
        self._observation = observation
        self.shows_effects = shows_effects
        self.wants_chunks = observation.wants_chunks
        self.is_observed = observation.__class__ is not Observation
        self._at_end: list[Callable[[Ending], None]] = []
        self._called: dict[int, tuple[str, str | None]] = {}
        self.charges: list[Charge] = []
        self.effects: dict[str, None] = {}

    def hold(self) -> None:
        """Keep the end of the exchange back until `release`: the reply may still be changed."""
        self._holds += 1

    def release(self, error: BaseException | None = None, *, status: int | None = None) -> None:
        """Let the exchange end.

        Args:
            error: why the client gets no complete response, although the provider gave one.
            status: what the client gets instead; None if it is a stream that has begun.
        """
        self._holds -= 1
        if error is not None and self._overruled is None:
            self._overruled = status, error
        if self._end is not None and not self._holds:
            end, self._end = self._end, None
            self._pass_end_on(*end)

    def at_end(self, settle: Callable[[Ending], None]) -> None:
        """Have `settle` called when the exchange has ended, whatever ends it."""
        self._at_end.append(settle)

    def settle_at_end(self, settle: Callable[[Ending], None]) -> None:
        """Do so, and until then collect all charges, those without a price too."""
        self.counts_all = True
        self._at_end.append(settle)

    def understood(self, request: ClientRequest) -> None:
        """Pass on."""
        self._observation.understood(request)

    def selected(self, selection: Selection) -> None:
        """Pass on."""
        self._observation.selected(selection)

    def decided(self, decision: Decision) -> None:
        """Pass on."""
        self._observation.decided(decision)

    def expired(self, decision: Decision, count: int) -> None:
        """Pass on."""
        self._observation.expired(decision, count)

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        """Pass on."""
        self._observation.settled(decision, reserved, used)

    def sending(self, request: UpstreamRequest) -> UpstreamRequest | None:
        """Note that a provider begins to work."""
        self._waiting += 1
        self._shown = attempt = request.attempt
        if request.endpoint.provider_host != request.preferred_host:
            self._fallbacks |= {attempt}
        self._called[attempt] = request.provider, request.model
        return self._observation.sending(request) if self.is_observed else None

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        """Note that a provider has failed, and so works no more."""
        if answer.__class__ is Failure or answer.status >= 400:  # type: ignore[union-attr]
            self._waiting -= 1
        if self.is_observed:
            self._observation.answered(attempt, answer)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        """Note that the client gets a response."""
        self._is_stream, self.is_fallback = is_stream, attempt in self._fallbacks
        self._shown = attempt
        if self.is_observed:
            self._observation.replying(attempt=attempt, is_stream=is_stream)

    def chunks(self, count: int) -> None:
        """Pass on."""
        self._observation.chunks(count)

    def charged(self, charge: Charge) -> None:
        """Note what a provider has counted; notify observers if it may have a price."""
        self.charges.append(charge)
        if charge.is_listed:
            self._listed += (charge,)
            self._observation.charged(charge)

    def mirroring(self, request: ClientRequest) -> Observation:
        """Pass on."""
        return self._observation.mirroring(request)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        """Pass on."""
        self._observation.mirrored(outcome)

    def summarised(self, summary: AnswerSummary) -> None:
        """Note the facts of the response."""
        self._summary = summary
        if self.is_observed:
            self._observation.summarised(summary)

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        """Settle, once: a layer may fail when the exchange has ended."""
        if self._has_ended:
            return
        self._has_ended = True
        if self._holds:
            self._end = status, error, usage
        else:
            self._pass_end_on(status, error, usage)

    def _pass_end_on(
        self, status: int | None, error: BaseException | None, usage: Usage | None
    ) -> None:
        # What was used, the client's or not; nobody asks if nothing was reserved.
        ending = self._ending(status, error, usage) if self._at_end else None
        # A provider's error is reported unchanged; a guard only overrules success.
        if self._overruled is not None and error is None:
            own_status, error = self._overruled
            status = own_status or status
        settles, self._at_end = self._at_end, []  # they hold the call, which holds this account
        try:
            if self.is_observed:
                self._observation.ended(status, error, usage)
        finally:
            if ending is not None:
                for settle in settles:
                    settle(ending)

    def _ending(
        self, status: int | None, error: BaseException | None, usage: Usage | None
    ) -> Ending:
        summary, (provider, model) = self._summary, self._called.get(self._shown, _NOT_CALLED)
        return Ending(
            usage,
            (summary.events if summary else 0) if self._is_stream else None,
            self._is_stream is not None and status is not None and status < 400,
            error is not None and self._waiting > 0 and isinstance(error, _DEPARTURES),
            status,
            error,
            summary,
            self._listed,
            provider,
            model,
        )


class Call(msgspec.Struct, frozen=True):
    """A request whose rule is known. `timeout_s` is the longest that it may take.

    `clock` is the one of `deadline`, `wall_clock` that of calendars, `random` draws from 0 to 1;
    `cache` keeps responses, `flights` are the calls under way. `over_budget` is the error of a
    budget that sends the call to the rule's next priority.
    """

    request: ClientRequest
    route: str
    rule: str
    timeout_s: float
    store: Store
    learned: Learned
    account: Account
    deadline: Deadline
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    random: Callable[[], float]
    mesh_id: str
    flights: Flights
    cache: CacheStore | None
    warnings: Warnings
    over_budget: InsufficientQuota | None = None


class CallPolicy(Protocol):
    """A layer around the attempts of a call; immutable, its state is behind the store."""

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve `call` by way of `proceed`, refuse it by raising, or answer it.

        Raises:
            AnswerableError: the policy refuses the call.
        """


class Held(Protocol):
    """What was reserved for one attempt."""

    def release(self) -> None:
        """Give it back: the attempt came to nothing. Does nothing after the end of the call."""


class AttemptPolicy(Protocol):
    """What must agree before a backend is called; immutable."""

    def __call__(self, call: Call, provider: str) -> Steps:
        """Return `Held`, or None if nothing was reserved.

        Raises:
            AnswerableError: the backend may not be called now.
        """
