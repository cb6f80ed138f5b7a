"""One exchange as the view follows it: its hooks note what they are told, and when.

sending    an attempt begins; an earlier one that is still open had an unusable response
decided    an item of a policy is counted, and remembered for the record
answered   a failed attempt waits to be counted, a successful one until the call has ended
replying   this attempt is the client's, and its stream is open
chunks     events of the stream are counted in the bin of their time, while somebody looks and
           few calls are under way
ended      the request is dropped, what may be shown of it is kept, and the call waits to be counted

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
from ..._core.values.operations import Operation
from ..._core.values.selection import Selection
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ...exceptions import AnswerableError, ClientDisconnected, UpstreamError
from ..values import PolicyDecision
from .attempts import UNUSABLE, MadeAttempt, begin_attempt
from .rhythm import Rhythm
from .shown import Shown

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["ABANDONED", "CallWatch"]

ABANDONED = "client_disconnect"

# A rhythm is a picture, not a count: nobody looks at those of more calls at a time.
_MAX_FOLLOWED = 64
_MAX_DECISIONS = 16
_MAX_DROPPED = 8
_TRACE_DIGITS = 32


class CallWatch(Observation):
    """Follows one exchange for a hub; times are on the monotonic clock, `at` on that of the wall.

    What comes from the request is set at the end, already masked: `operation`, `model`, `consumer`,
    `facts`.
    """

    handles_failures = True

    selection: Selection | None = None
    served: MadeAttempt | None = None
    first_at: float | None = None
    trace_id: str | None = None
    decisions: tuple[PolicyDecision, ...] = ()
    charges: tuple[Charge, ...] = ()
    events = 0
    status: int | None = None
    error: str | None = None
    usage: Usage | None = None
    ended_at = 0.0
    operation: Operation | None = None
    model: str | None = None
    consumer: str | None = None
    facts: tuple[tuple[str, str, str], ...] = ()
    _rhythm: Rhythm | None = None

    def __init__(self, hub: Hub, request: ClientRequest) -> None:
        self._hub = hub
        self._request: ClientRequest | None = request
        self.host = request.host
        self.at = hub.wall_clock()
        self.begun_at = now = hub.clock()
        self.wants_chunks = now < hub.looked_until and len(hub.open) < _MAX_FOLLOWED
        self.attempts: list[MadeAttempt] = []

    def understood(self, request: ClientRequest) -> None:
        self._request = request

    def selected(self, selection: Selection) -> None:
        self.selection = selection

    def decided(self, decision: Decision) -> None:
        try:
            self._hub.decide(decision, self._counted_by(decision), self._hub.clock())
        except Exception:  # here and below: the view must not break the request
            self.log_failure()
        if len(self.decisions) < _MAX_DECISIONS:
            names = decision.policy, decision.item, decision.kind, decision.decision
            self.decisions += (PolicyDecision(*names, entity=decision.entity),)

    def _counted_by(self, decision: Decision) -> tuple[str, ...]:
        request = self._request
        if request is None or not decision.by:
            return ()
        return self._hub.shown().counted_by(decision.by, request)

    def charged(self, charge: Charge) -> None:
        self.charges += (charge,)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        if self.selection is None:
            return
        try:
            self._hub.mirror(self.selection, self.host, outcome, self._hub.clock())
        except Exception:
            self.log_failure()

    def sending(self, request: UpstreamRequest) -> None:
        if self.attempts:
            self._end_unusable()
        else:
            self.trace_id = _trace_id(request)
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
            self._hub.counts.end_attempt(self, made)
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
                self.served = made
        if is_stream and self.served is not None:
            self.first_at = now = self._hub.clock()
            self.served.is_streaming = True
            if self.wants_chunks:
                self._rhythm = self.served.rhythm = Rhythm(now)

    def chunks(self, count: int) -> None:
        if self._rhythm is not None:
            self._rhythm.add(count, self._hub.clock())

    def summarised(self, summary: AnswerSummary) -> None:
        self.events = summary.events

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        hub, request = self._hub, self._request
        # The request has headers and a prompt: it must not be kept.
        self.status, self.usage, self._request = status, usage, None
        self.ended_at = now = hub.clock()
        if error is not None:
            self.error = _code(error)
        for made in self.attempts:
            if made.ended_at is None:
                self._end(made, error, now)
        if self.error is None and status is not None and status >= 400:
            self.error = str(status)
        hub.open.discard(self)
        try:
            if request is not None:
                self._keep(request, hub.shown())
            hub.counts.end_call(self)
        except Exception:
            self.log_failure()

    def _end(self, made: MadeAttempt, error: BaseException | None, now: float) -> None:
        if made is self.served:
            made.ended_at = now
            if error is not None and isinstance(error, UpstreamError):
                made.fail(error.code, now)
        elif self.served is None and made.answered_at is not None:
            made.fail(self.error or UNUSABLE, made.answered_at)
        else:
            made.is_cancelled, made.ended_at = True, made.answered_at or now
        if made.has_failed:
            self._count_failure(made)

    def edge(self, made: MadeAttempt) -> tuple[str, str, str]:
        """Return what an attempt is counted under: host, rule, provider."""
        return self.host, "" if self.selection is None else self.selection.rule, made.provider

    def _keep(self, request: ClientRequest, shown: Shown) -> None:
        """Keep what a viewer may see of the request."""
        for made in self.attempts:
            if made.model is not None:
                made.model = shown.text(made.model)
            if made.dropped:
                made.dropped = tuple([shown.text(name) for name in made.dropped[:_MAX_DROPPED]])
        self.operation = request.operation
        self.facts = shown.facts(request)
        if self.served is not None:
            self.model = self.served.model
        elif request.model is not None:
            self.model = shown.text(request.model)
        if request.attributes:
            consumer = request.attributes.get("consumer")
            self.consumer = None if consumer is None else shown.text(consumer)


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
