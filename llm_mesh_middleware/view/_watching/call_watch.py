"""One exchange as the view follows it.

sending    an attempt begins; an earlier one that is still open had an unusable response
decided    an item of a policy is counted, and remembered for the record
charged    a cost is counted at its edge
answered   a failed attempt is counted at once, a successful one when it ends
replying   this attempt is the client's, and its stream is open
chunks     events of the stream are counted in the bin of their time, while somebody looks and
           few calls are under way
ended      everything else is counted, and the record is kept
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core.dialect import ServedOperation
from ..._core.flow.mirrors.outcome import MirrorOutcome
from ..._core.flow.observer import Observation
from ..._core.pricing.charge import Charge, format_costs
from ..._core.values.decision import Decision
from ..._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from ..._core.values.selection import Selection
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ...exceptions import AnswerableError, ClientDisconnected, UpstreamError
from ..values import Call, PolicyDecision
from .attempts import MadeAttempt, begin_attempt, explain_attempts, milliseconds
from .counts import AttemptEnd, CallEnd
from .rhythm import Rhythm

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["CallWatch"]

_UNUSABLE = "an unusable response"
_ABANDONED = "client_disconnect"
_TRACE_DIGITS = 32
_MAX_DECISIONS = 16
_MAX_DROPPED = 8


class CallWatch(Observation):
    """Follows one exchange for a hub."""

    _rhythm: Rhythm | None = None
    _selection: Selection | None = None
    _served: MadeAttempt | None = None
    _first_at: float | None = None
    _summary: AnswerSummary | None = None
    _trace_id: str | None = None
    _decisions: tuple[PolicyDecision, ...] = ()
    _charges: tuple[Charge, ...] = ()

    def __init__(self, hub: Hub, request: ClientRequest) -> None:
        self._hub = hub
        self._request = request
        self._started_at = now = hub.clock()
        self.wants_chunks = hub.follows_events(now)
        self._at = hub.wall_clock()
        self._made: list[MadeAttempt] = []
        self._open: dict[int, MadeAttempt] = {}

    def understood(self, request: ClientRequest) -> None:
        self._request = request

    def selected(self, selection: Selection) -> None:
        self._selection = selection

    def decided(self, decision: Decision) -> None:
        by = self._hub.shown.counted_by(decision.by, self._request) if decision.by else ()
        self._hub.decide(decision, by, self._hub.clock())
        if len(self._decisions) < _MAX_DECISIONS:
            names = decision.policy, decision.item, decision.kind, decision.decision
            self._decisions += (PolicyDecision(*names, entity=decision.entity),)

    def charged(self, charge: Charge) -> None:
        self._charges += (charge,)
        made = next((each for each in self._made if each.number == charge.attempt), None)
        if made is not None and charge.amount is not None and charge.currency is not None:
            now = self._hub.clock()
            self._hub.charge(made.edge, charge.currency, charge.amount, now)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        if self._selection is not None:
            host = self._request.host
            self._hub.mirror(self._selection, host, outcome, self._hub.clock())

    def sending(self, request: UpstreamRequest) -> None:
        hub = self._hub
        if self._open:
            self._end_unusable()
        rule = "" if self._selection is None else self._selection.rule
        edge = self._request.host, rule, request.provider
        model = None if request.model is None else hub.shown.text(request.model)
        dropped: tuple[str, ...] = ()
        if request.dropped:
            dropped = tuple([hub.shown.text(name) for name in request.dropped[:_MAX_DROPPED]])
        made = begin_attempt(request, edge, model, hub.clock(), dropped)
        if not self._made:
            self._trace_id = _trace_id(request.headers)
            hub.open[id(self)] = self
        self._made.append(made)
        self._open[made.number] = made

    def under_way(self) -> list[MadeAttempt]:
        """Return the attempts that have not ended; any thread may ask."""
        return list(self._open.values())

    def _end_unusable(self) -> None:
        """End earlier attempts that got an unusable response."""
        for before in list(self._open.values()):
            if before.answered_at is not None:
                before.error, before.has_failed = before.error or _UNUSABLE, True
                self._end(before, before.answered_at)

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        made = self._open.get(attempt)
        if made is None:
            return
        now = self._hub.clock()
        made.answer(answer, now)
        if made.has_failed:
            self._end(made, now)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        for made in self._made:
            if made.number == attempt:
                self._served = made
        if is_stream and self._served is not None:
            self._first_at = now = self._hub.clock()
            self._served.is_streaming = True
            if self.wants_chunks:
                self._rhythm = self._served.rhythm = Rhythm(now)

    def chunks(self, count: int) -> None:
        if self._rhythm is not None:
            self._rhythm.add(count, self._hub.clock())

    def summarised(self, summary: AnswerSummary) -> None:
        self._summary = summary

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        now = self._hub.clock()
        tokens = 0 if usage is None else usage.input_tokens + usage.output_tokens
        for made in list(self._open.values()):
            if made is self._served:
                if isinstance(error, UpstreamError):
                    made.error, made.has_failed = error.code, True
                self._end(made, now, tokens=tokens)
            elif self._served is None and made.answered_at is not None:
                made.error, made.has_failed = made.error or _code(error) or _UNUSABLE, True
                self._end(made, made.answered_at)
            else:
                self._end(made, now, is_cancelled=True)
        self._hub.open.pop(id(self), None)
        call = self._record(now, status, error, usage)
        names = (call.host,) if call.rule is None else (call.host, call.rule)
        self._hub.counts.end_call(CallEnd(names, int(now), now - self._started_at, call))

    def _end(
        self, made: MadeAttempt, now: float, *, is_cancelled: bool = False, tokens: int = 0
    ) -> None:
        del self._open[made.number]
        if is_cancelled:
            return
        first_at = self._first_at if made is self._served else None
        end = AttemptEnd(
            made.edge,
            int(now),
            now - made.begun_at,
            tokens,
            (made.error or _UNUSABLE) if made.has_failed else None,
            made.host,
            None if first_at is None else first_at - made.begun_at,
        )
        self._hub.counts.end_attempt(end)

    def _record(
        self, now: float, status: int | None, error: BaseException | None, usage: Usage | None
    ) -> Call:
        request, selection, summary = self._request, self._selection, self._summary
        operation, hub, served = request.operation, self._hub, self._served
        model = None if served is None else served.model
        if served is None and request.model is not None:
            model = hub.shown.text(request.model)
        consumer = request.attributes.get("consumer")
        first_at = self._first_at
        code = _code(error)
        if code is None and status is not None and status >= 400:
            code = str(status)
        return Call(
            id=hub.next_id(),
            at=int(self._at * 1000) / 1000,
            host=request.host,
            duration_ms=milliseconds(now - self._started_at),
            route=None if selection is None else selection.route,
            rule=None if selection is None else selection.rule,
            operation=None if operation is None else operation.name,
            path=None if operation is None else operation.asked_as or operation.suffix,
            dialect=operation.dialect.name if isinstance(operation, ServedOperation) else None,
            status=status,
            error=code,
            is_abandoned=code == _ABANDONED,
            is_stream=first_at is not None,
            first_ms=None if first_at is None else milliseconds(first_at - self._started_at),
            events=0 if summary is None else summary.events,
            input_tokens=0 if usage is None else usage.input_tokens,
            output_tokens=0 if usage is None else usage.output_tokens,
            model=model,
            consumer=None if consumer is None else hub.shown.text(consumer),
            lacks_sticky_key=selection is not None and selection.lacks_sticky_key,
            trace_id=self._trace_id,
            facts=hub.shown.facts(request),
            attempts=explain_attempts(
                self._made, None if served is None else served.number, self._started_at, now
            ),
            cost=(format_costs(self._charges) or None) if self._charges else None,
            policies=self._decisions,
        )


def _code(error: BaseException | None) -> str | None:
    if error is None:
        return None
    # GeneratorExit: the exchange was closed while it waited, because the client left.
    if isinstance(error, ClientDisconnected | GeneratorExit):
        return _ABANDONED
    return error.code if isinstance(error, AnswerableError) else type(error).__qualname__


def _trace_id(headers: tuple[tuple[bytes, bytes], ...]) -> str | None:
    """Return the trace id that telemetry has put into the request (W3C trace context)."""
    value = dict(headers).get(b"traceparent")
    if value is None:
        return None
    digits = value[3 : 3 + _TRACE_DIGITS]
    is_good = len(digits) == _TRACE_DIGITS and not digits.strip(b"0123456789abcdef")
    return digits.decode() if is_good else None
