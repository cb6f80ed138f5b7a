"""One request as the policies of its rule see it, between routing and the first attempt.

observation  <──  Account  <──  exchange
                     └──> callbacks for the end: exactly once, on every path
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec.structs import replace

from ...exceptions import ClientDisconnected, InsufficientQuota, ServerShutdown
from ..pricing.charge import Charge
from ..private import PerCall
from ..side_calls.side_call import SideCallContext
from ..values.decision import Decision
from ..values.messages import ClientRequest, Deadline, Failure, ResponseHead, UpstreamRequest
from ..values.selection import Selection
from ..values.steps import Steps
from ..values.summary import AnswerSummary, SummaryDetail
from ..values.usage import Usage
from .attempts.context import CallContext
from .mirrors.outcome import MirrorOutcome
from .observer import Observation
from .reply import Flow
from .state import MeshState

__all__ = ["Account", "Admission", "AttemptPolicy", "Call", "CallPolicy", "Held", "account_of"]


_DEPARTURES = (ClientDisconnected, ServerShutdown)

# An attempt: its number, the provider, the model, and whether it is not the preferred provider's.
_Sent = tuple[int, str, str | None, bool]
_NOTHING_SENT: _Sent = 0, "", None, False
_NO_FIELDS: frozenset[bytes] = frozenset()


class Admission(Protocol):
    """What a gate has admitted a call with. `settles`: the end of the call changes it."""

    settles: bool

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the header fields for the reply, instead of those of the provider's quota."""

    def settle(self, account: Account) -> None:
        """Correct what was taken by what was used; called once, when the exchange has ended."""


class Account(Observation, PerCall):
    """An observation that forwards everything, and calls policies back when the exchange ends.

    `shows_effects` is for clients; `is_observed`: an observer reads decisions. `charges` are the
    usage that providers have reported so far, without the reply's if it has no price. `admission`
    is that of the rule's gate, which is settled first. `own_fields` are the names of header fields
    that limits have added to the reply, `effects` what guards have done. `status`, `error` and
    `usage` are those of the end, `summary` the response's.
    """

    _observation: Observation
    shows_effects: bool
    is_observed: bool
    detail: SummaryDetail
    wants_chunks: bool
    counts_all: bool = False
    admission: Admission | None = None
    charges: tuple[Charge, ...] = ()
    own_fields: frozenset[bytes] = _NO_FIELDS
    effects: tuple[str, ...] = ()
    status: int | None = None
    error: BaseException | None = None
    usage: Usage | None = None
    summary: AnswerSummary | None = None
    _sent: _Sent = _NOTHING_SENT
    _earlier: tuple[_Sent, ...] = ()
    _failed: int = 0
    _is_stream: bool | None = None
    _has_ended: bool = False
    _holds: int = 0
    _is_held: bool = False
    _overruled: tuple[int | None, BaseException] | None = None
    _at_end: tuple[Callable[[Account], None], ...] = ()

    @property
    def is_fallback(self) -> bool:
        """Whether the reply is not of the preferred provider."""
        return self._sent[3]

    @property
    def provider(self) -> str:
        """The provider that the reply is from, or that the last attempt was at."""
        return self._sent[1]

    @property
    def model(self) -> str | None:
        """The model that was requested of it."""
        return self._sent[2]

    @property
    def events(self) -> int | None:
        """The events of a stream that has ended; None if the reply is none."""
        if not self._is_stream:
            return None
        return 0 if self.summary is None else self.summary.events

    @property
    def has_reply(self) -> bool:
        """Whether the client was sent a response without an error."""
        return self._is_stream is not None and self.status is not None and self.status < 400

    @property
    def is_cut_off(self) -> bool:
        """Whether the client left while a provider may have been working on the call."""
        is_waiting = self._sent is not _NOTHING_SENT and self._failed <= len(self._earlier)
        return is_waiting and isinstance(self.error, _DEPARTURES)

    def counted(
        self, first: int, provider: str = "", *, has_side_calls: bool = True
    ) -> list[Usage]:
        """Return the usage that providers have reported after the `first` charges, the reply's too.

        Args:
            first: the number of charges that are left out.
            provider: only this one; empty for all.
            has_side_calls: whether side calls for guards and caches are included.
        """
        found = [
            charge.usage
            for charge in self.charges[first:]
            if (not provider or charge.provider == provider) and (has_side_calls or charge.attempt)
        ]
        number, last, _, _ = self._sent
        is_charged = any(charge.attempt == number for charge in self.charges)
        if self.usage is not None and not is_charged and provider in ("", last):
            found.append(self.usage)
        return found

    def hold(self) -> None:
        """Delay the end of the exchange until `release`: the reply may still be changed."""
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
        if self._is_held and not self._holds:
            self._is_held = False
            self._pass_end_on()

    def at_end(self, settle: Callable[[Account], None]) -> None:
        """Have `settle` called when the exchange has ended, whatever ends it."""
        self.detail = "facts"
        self._at_end += (settle,)

    def settle_at_end(self, settle: Callable[[Account], None]) -> None:
        """Do so, and until then collect all charges, those without a price too."""
        self.counts_all = True
        self._at_end += (settle,)

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
        if self._sent is not _NOTHING_SENT:
            self._earlier += (self._sent,)
        is_fallback = request.endpoint.provider_host != request.preferred_host
        self._sent = request.attempt, request.provider, request.model, is_fallback
        return self._observation.sending(request) if self.is_observed else None

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        """Note that a provider has failed, and so works no more."""
        if answer.__class__ is Failure or answer.status >= 400:  # type: ignore[union-attr]
            self._failed += 1
        if self.is_observed:
            self._observation.answered(attempt, answer)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        """Note that the client gets a response."""
        self._is_stream = is_stream
        if self._sent[0] != attempt:
            self._sent = next((sent for sent in self._earlier if sent[0] == attempt), self._sent)
        if self.is_observed:
            self._observation.replying(attempt=attempt, is_stream=is_stream)

    def chunks(self, count: int) -> None:
        """Pass on."""
        self._observation.chunks(count)

    def charged(self, charge: Charge) -> None:
        """Note what a provider has counted; notify observers if it may have a price."""
        self.charges += (charge,)
        if charge.is_listed:
            self._observation.charged(charge)

    def mirroring(self, request: ClientRequest) -> Observation:
        """Pass on."""
        return self._observation.mirroring(request)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        """Pass on."""
        self._observation.mirrored(outcome)

    def summarised(self, summary: AnswerSummary) -> None:
        """Note the facts of the response."""
        self.summary = summary
        if self.is_observed:
            self._observation.summarised(summary)

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        """Settle, once: a layer may fail when the exchange has ended."""
        if self._has_ended:
            return
        self._has_ended = True
        # What was used, the client's or not.
        self.status, self.usage = status, usage
        if error is not None:
            self.error = error
        if self._holds:
            self._is_held = True
        elif self.is_observed or self.admission is None:
            self._pass_end_on()
        else:  # a gate is the only policy of a rule
            self.admission.settle(self)

    def _pass_end_on(self) -> None:
        settles, self._at_end = self._at_end, ()  # they hold the call, which holds this account
        try:
            if self.is_observed:
                status, error = self.status, self.error
                # A provider's error is reported unchanged; a guard only overrules success.
                if self._overruled is not None and error is None:
                    own_status, error = self._overruled
                    status = own_status or status
                self._observation.ended(status, error, self.usage)
        finally:
            if self.admission is not None:
                self.admission.settle(self)
            for settle in settles:
                settle(self)


def account_of(observation: Observation, shows_effects: bool) -> Account:
    """Return an account; `observation` is notified of everything first."""
    if observation.__class__ is Observation:
        return Account(observation, shows_effects, False, "nothing", False)
    return Account(observation, shows_effects, True, observation.detail, observation.wants_chunks)


def admitted(observation: Observation, shows_effects: bool, admission: Admission) -> Account:
    """Return the account of a call that a gate has admitted, to be settled at its end."""
    if observation.__class__ is Observation:
        return Account(observation, shows_effects, False, "nothing", False, True, admission)
    detail, wants_chunks = observation.detail, observation.wants_chunks
    return Account(observation, shows_effects, True, detail, wants_chunks, True, admission)


class Call(msgspec.Struct, frozen=True):
    """A request whose rule is known, as policies have left it.

    `context` has what its attempts share, `state` what outlives it. `over_budget` is
    the error of a budget that sends the call to the rule's next priority.
    """

    request: ClientRequest
    account: Account
    context: CallContext
    state: MeshState
    over_budget: InsufficientQuota | None = None

    @property
    def deadline(self) -> Deadline:
        """When the whole call must be over."""
        return self.context.deadline

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of the deadline."""
        return self.context.clock

    @property
    def wall_clock(self) -> Callable[[], float]:
        """The clock of calendars."""
        return self.context.wall_clock

    @property
    def random(self) -> Callable[[], float]:
        """Draws numbers from 0 to 1."""
        return self.context.random

    @property
    def mesh_id(self) -> str:
        """The name of the mesh in `x-llm-mesh-hops`."""
        return self.context.settings.mesh_id

    def side_context(self, timeout_s: float) -> SideCallContext:
        """Return the context of a side call that the call waits for and is charged for."""
        until = self.deadline.or_sooner(self.clock(), "request", timeout_s)
        return self._side_context(until, self.account.charged)

    def report_context(self, now: float, timeout_s: float) -> SideCallContext:
        """Return the context of a report after the call, whose own deadline no longer counts."""
        until = replace(self.deadline, at=now + timeout_s, limit_s=timeout_s)
        return self._side_context(until, lambda charge: None)

    def _side_context(self, until: Deadline, charged: Callable[[Charge], None]) -> SideCallContext:
        return SideCallContext(until, self.request.headers, self.mesh_id, self.wall_clock, charged)


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
