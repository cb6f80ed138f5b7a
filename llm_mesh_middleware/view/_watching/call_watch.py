"""One exchange as the view follows it: its hooks note what they are told, and when.

sending    an attempt begins; an earlier one that is still open had an unusable response
decided    an item of a policy is counted, and remembered for the record
answered   a failed attempt waits to be counted, a successful one until the call has ended
replying   this attempt is the client's, and its stream is open
chunks     events of the stream are counted in the bin of their time, while somebody looks and
           few calls are under way
ended      what may be shown of the call is kept, without its request, and waits to be counted

Nothing is added up or written down here: `counts` does that for many calls together, and `record`
for those that somebody reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core.flow.mirrors.outcome import MirrorOutcome
from ..._core.flow.observer import Observation
from ..._core.pricing.charge import Charge
from ..._core.values.decision import Decision
from ..._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from ..._core.values.selection import Selection
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ...exceptions import AnswerableError, ClientDisconnected, UpstreamError
from ..values import PolicyDecision
from .notes import ABANDONED, UNUSABLE, EndedCall, MadeAttempt, begin_attempt
from .rhythm import Rhythm

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["CallWatch"]

# A rhythm is a picture, not a count: nobody looks at those of more calls at a time.
_MAX_FOLLOWED = 64
_MAX_DECISIONS = 16
_MAX_DROPPED = 8
_TRACE_DIGITS = 32


class CallWatch(Observation):
    """Follows one exchange for a hub."""

    handles_failures = True

    _selection: Selection | None = None
    _served: MadeAttempt | None = None
    _rhythm: Rhythm | None = None
    _trace_id: str | None = None
    _decisions: tuple[PolicyDecision, ...] = ()
    _charges: tuple[Charge, ...] = ()
    _events = 0

    def __init__(self, hub: Hub, request: ClientRequest) -> None:
        self._hub = hub
        self._request = request
        self._host = request.host
        self._at = hub.wall_clock()
        self._begun_at = now = hub.clock()
        self.wants_chunks = now < hub.looked_until and len(hub.open) < _MAX_FOLLOWED
        self.attempts: list[MadeAttempt] = []

    def edge(self, made: MadeAttempt) -> tuple[str, str, str]:
        """Return what an attempt is counted under: host, rule, provider."""
        return self._host, "" if self._selection is None else self._selection.rule, made.provider

    def understood(self, request: ClientRequest) -> None:
        self._request = request

    def selected(self, selection: Selection) -> None:
        self._selection = selection

    def decided(self, decision: Decision) -> None:
        try:
            self._hub.decide(decision, self._counted_by(decision), self._hub.clock())
        except Exception:  # here and below: the view must not break the request
            self.log_failure()
        if len(self._decisions) < _MAX_DECISIONS:
            names = decision.policy, decision.item, decision.kind, decision.decision
            self._decisions += (PolicyDecision(*names, entity=decision.entity),)

    def _counted_by(self, decision: Decision) -> tuple[str, ...]:
        if not decision.by:
            return ()
        return self._hub.shown().counted_by(decision.by, self._request)

    def charged(self, charge: Charge) -> None:
        self._charges += (charge,)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        if self._selection is None:
            return
        try:
            self._hub.mirror(self._selection, self._host, outcome, self._hub.clock())
        except Exception:
            self.log_failure()

    def sending(self, request: UpstreamRequest) -> None:
        if self.attempts:
            self._end_unusable()
        else:
            self._trace_id = _trace_id(request)
            self._hub.open.add(self)
        self.attempts.append(begin_attempt(request, self._hub.clock()))

    def _end_unusable(self) -> None:
        """End earlier attempts that got an unusable response."""
        for made in self.attempts:
            if made.ended_at is None and made.answered_at is not None:
                made.fail(UNUSABLE, made.answered_at)
                self._count_failure(made)

    def _count_failure(self, made: MadeAttempt) -> None:
        try:
            self._hub.counts.end_attempt(self.edge(made), made)
        except Exception:
            self.log_failure()

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        for made in self.attempts:
            if made.number == attempt and made.ended_at is None:
                made.answer(answer, self._hub.clock())
                if made.has_failed:
                    self._count_failure(made)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        for made in self.attempts:
            if made.number == attempt:
                self._served = made
        if is_stream and self._served is not None:
            self._served.first_at = now = self._hub.clock()
            if self.wants_chunks:
                self._rhythm = self._served.rhythm = Rhythm(now)

    def chunks(self, count: int) -> None:
        if self._rhythm is not None:
            self._rhythm.add(count, self._hub.clock())

    def summarised(self, summary: AnswerSummary) -> None:
        self._events = summary.events
        if summary.dropped and self._served is not None:
            self._served.dropped += summary.dropped

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        hub, now = self._hub, self._hub.clock()
        code = None if error is None else _code(error)
        if self._served is not None and usage is not None:
            self._served.tokens = usage.input_tokens + usage.output_tokens
        for made in self.attempts:
            if made.ended_at is None:
                self._end(made, error, code, now)
        hub.open.discard(self)
        if code is None and status is not None and status >= 400:
            code = str(status)
        try:
            hub.counts.end_call(self._kept(now, status, code, usage))
        except Exception:
            self.log_failure()

    def _end(
        self, made: MadeAttempt, error: BaseException | None, code: str | None, now: float
    ) -> None:
        if made is self._served:
            made.ended_at = now
            if error is not None and isinstance(error, UpstreamError):
                made.fail(error.code, now)
        elif self._served is None and made.answered_at is not None:
            made.fail(code or UNUSABLE, made.answered_at)
        else:
            made.is_cancelled, made.ended_at = True, made.answered_at or now
        if made.has_failed:
            self._count_failure(made)

    def _kept(
        self, now: float, status: int | None, code: str | None, usage: Usage | None
    ) -> EndedCall:
        """Return what is kept of the call: of its request, which has a prompt and keys, little."""
        shown, request, served = self._hub.shown(), self._request, self._served
        for made in self.attempts:
            if made.model is not None:
                made.model = shown.text(made.model)
            if made.dropped:
                made.dropped = tuple([shown.text(name) for name in made.dropped[:_MAX_DROPPED]])
        model = request.model if served is None else served.model
        consumer = request.attributes.get("consumer") if request.attributes else None
        return EndedCall(
            self._host,
            self._at,
            self._begun_at,
            now,
            self._selection,
            tuple(self.attempts),
            served,
            status,
            code,
            usage,
            self._events,
            request.operation,
            model if served is not None or model is None else shown.text(model),
            None if consumer is None else shown.text(consumer),
            shown.facts(request),
            self._trace_id,
            self._decisions,
            self._charges,
        )


def _code(error: BaseException) -> str:
    # GeneratorExit: the exchange was closed while it waited, because the client left.
    if isinstance(error, ClientDisconnected | GeneratorExit):
        return ABANDONED
    return error.code if isinstance(error, AnswerableError) else type(error).__qualname__


def _trace_id(request: UpstreamRequest) -> str | None:
    """Return the trace id that telemetry has put into the request (W3C trace context)."""
    for name, value in request.headers:
        if name == b"traceparent":
            digits = value[3 : 3 + _TRACE_DIGITS]
            is_good = len(digits) == _TRACE_DIGITS and not digits.strip(b"0123456789abcdef")
            return digits.decode() if is_good else None
    return None
