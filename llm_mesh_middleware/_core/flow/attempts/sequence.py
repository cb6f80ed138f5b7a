"""The attempts of one request, one after another, up to the reply.

the choice is on trial       wait for the result of another call, then consult the plan again
it has a pause               sleep, unless the deadline would pass
its policy does not admit    the plan chooses another
its dialect lacks a field    the plan chooses another
there is no slot             until the connect deadline; then the plan chooses another
otherwise                    an attempt, or a race of two if it is slow

the outcome is final         it becomes the reply
it is not                    the plan chooses: a retry, a fallback, or nothing
nothing is left              the best outcome becomes the reply: a response before an error
"""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache, partial

from msgspec.structs import replace

from ....exceptions import RateLimitExceeded, UnsupportedField
from ...http.response_headers import MAX_FIELD_TEXT, field_value, instead_of_quota
from ...pricing.charge import Charge, format_costs
from ...pricing.prices import NO_PRICES
from ...private import PerCall
from ...provider.health import Lease
from ...values.messages import Failure, ResponseHead
from ...values.payload import read_text
from ...values.steps import Await, Race, Raced, Send, Sleep, Step, StepResult, Steps
from ...values.summary import AnswerSummary
from ..affinity import Affinity
from ..call import Admission, Call, Held
from ..observer import end_by
from ..reply import Flow, Reply
from .attempt import Attempt
from .context import CallContext
from .outcome import Outcome
from .plan import AttemptPlan, Choice
from .relayed import relayed_body

__all__ = ["AttemptSequence"]

# The statuses that official SDKs retry by default.
_SDK_RETRIES = frozenset((408, 409, 429))
_REFUSED_KEY = frozenset((401, 403))


class AttemptSequence(PerCall):
    """The attempts of one request, one after another, up to the reply.

    If it is alone, nothing is around it, and it ends the observation where it raises.
    """

    _context: CallContext
    _plan: AttemptPlan
    _affinity: Affinity
    _is_alone: bool
    _call: Call | None = None
    _admission: Admission | None = None
    _held: Held | None = None
    _refused: RateLimitExceeded | None = None
    _unsupported: UnsupportedField | None = None
    _leases: tuple[Lease, ...] = ()
    _charges: tuple[Charge, ...] = ()

    def proceed(self, call: Call) -> Flow:
        """Run inside policies, which may have changed the request."""
        if call.request is not self._context.request:
            self._context = replace(self._context, request=call.request)
        if call.over_budget is not None and not self._plan.skip_first_tier():
            raise call.over_budget
        return self.run()

    def run(self) -> Flow:
        """Make attempts until one is final or nothing is left to try."""
        context, plan = self._context, self._plan
        clock, ends_at, rule = context.clock, context.deadline.at, context.rule
        best: tuple[Attempt, Outcome] | None = None
        try:
            if context.operation.continues_by:
                yield from self._recall()
            choice: Choice | None = plan.first(clock())
            while choice is not None and (now := clock()) < ends_at:
                lease = None
                if choice.candidate.backend.policy is None and not (
                    choice.is_on_trial or choice.pause_s
                ):
                    lease = self._leased(choice, now)
                if lease is None:
                    choice, lease = yield from self._waited_for(choice)
                    if choice is None or lease is None:
                        continue
                try:
                    attempt = self._begin(choice, lease)
                    if rule.retry.hedge_after_s is None or attempt.is_for_stream:
                        prepared = attempt.prepare()
                        send = prepared if isinstance(prepared, Send) else (yield from prepared)
                        head = (yield send) if isinstance(send, Send) else send
                    else:
                        choice, attempt, head = yield from self._race(choice, attempt)
                    if rule.reads_quota and isinstance(head, ResponseHead):
                        choice.health.quota.learn(head.headers, clock(), context.wall_clock)
                    outcome = attempt.receive(head)
                    if not isinstance(outcome, Outcome):
                        outcome = yield from outcome
                except UnsupportedField as refused:  # another provider's dialect may have it
                    self._unsupported = self._unsupported or refused
                    choice = plan.untried(clock())
                    continue
                if outcome.error is None or best is None or best[1].error is not None:
                    best = attempt, outcome  # a later failure does not replace a real response
                # Reported before the plan checks the provider's health.
                is_good = self._report(attempt, outcome)
                choice = None if is_good else plan.after(choice, outcome, clock())
            if best is not None and context.operation.continues_by:
                yield from self._remember(*best)
            return self._replied(best)
        except BaseException as error:
            self._end_leases(None)
            if self._is_alone:
                end_by(error, context.observation)
            raise

    def _replied(self, best: tuple[Attempt, Outcome] | None) -> Reply:
        """Return the reply of the best attempt; the lease of a stream is open until its end."""
        if best is None:
            self._end_leases(None)
            now = self._context.clock()
            raise self._refused or self._unsupported or self._plan.unavailable(now)
        attempt, outcome = best
        self._end_leases(None if outcome.relay is None else attempt.lease)
        return self._reply(attempt, outcome)

    def _end_leases(self, streaming: Lease | None) -> None:
        for lease in self._leases:
            if lease.is_open and lease is not streaming:
                lease.end("cancelled", self._context.clock())

    def _recall(self) -> Steps:
        """Prefer the provider that stores the response which the request continues."""
        context = self._context
        earlier = read_text(context.request.fields, context.operation.continues_by)
        if earlier is not None:
            found = yield from self._affinity.recall(self._context.route, earlier, context.clock())
            self._plan.prefer(found)

    def _remember(self, attempt: Attempt, outcome: Outcome) -> Steps:
        """Record a response that a later request may continue.

        The first event of a stream has its id, so it is recorded before the client can continue it.
        """
        summary = outcome.summary if outcome.relay is None else outcome.relay.summary
        if summary is not None and summary.id is not None:
            provider, now = attempt.upstream.identity, self._context.clock()
            yield from self._affinity.remember(self._context.route, summary.id, provider, now)

    def _waited_for(
        self, choice: Choice
    ) -> Generator[Step, StepResult, tuple[Choice | None, Lease | None]]:
        """Wait for what the choice needs; return it with a lease, or what to choose instead."""
        clock = self._context.clock
        if choice.is_on_trial:
            yield Await(choice.health.on_news, self._context.deadline)
            return self._plan.afforded(choice, clock()), None
        if choice.pause_s and not (yield from self._pause(choice.pause_s)):
            return None, None
        if choice.backend.policy is None or (yield from self._admit(choice)):
            lease = self._leased(choice, clock()) or (yield from self._queued(choice))
            if lease is not None:
                return choice, lease
        return self._plan.instead(choice, clock()), None

    def _pause(self, seconds: float) -> Generator[Step, StepResult, bool]:
        """Wait, unless the request's deadline would pass; return whether it waited."""
        if self._context.clock() + seconds >= self._context.deadline.at:
            return False
        yield Sleep(seconds)
        return True

    def _admit(self, choice: Choice) -> Generator[Step, StepResult, bool]:
        """Return whether the backend's policy admits the attempt, after releasing the last one."""
        policy, call = choice.backend.policy, self._call
        if self._held is not None:
            self._held.release()
        if policy is not None and call is not None:
            try:
                self._held = yield from policy(call, choice.backend.upstream.provider)
            except RateLimitExceeded as refused:
                self._refused = refused
                return False
        return True

    def _leased(self, choice: Choice, now: float) -> Lease | None:
        """Acquire a lease if no wait is needed."""
        body, is_forced = self._context.request.body, choice.is_forced
        lease = choice.candidate.health.lease(now, body, is_forced)
        if lease is not None:
            self._leases += (lease,)
        return lease

    def _queued(self, choice: Choice) -> Generator[Step, StepResult, Lease | None]:
        """Wait for a slot, which counts as connecting."""
        clock, health = self._context.clock, choice.health
        body, is_forced = self._context.request.body, choice.is_forced
        if not (is_forced or health.is_available(clock())):
            return None
        connect_s = self._context.timeouts.connect
        deadline = self._context.deadline.or_sooner(clock(), "connect", connect_s)
        place = health.queue()
        try:
            yield Await(place.on_slot, deadline)
            lease = place.lease(clock(), body=body, is_forced=is_forced)
        finally:
            place.leave()
        if lease is not None:
            self._leases += (lease,)
        return lease

    def _race(
        self, choice: Choice, first: Attempt
    ) -> Generator[Step, StepResult, tuple[Choice, Attempt, ResponseHead | Failure]]:
        """Race a slow attempt against a second one; the first good head wins."""
        calls = [(choice, first)]

        def second() -> Send | None:
            now = self._context.clock()
            hedge = self._plan.hedge(now)
            body = self._context.request.body
            lease = hedge.health.lease(now, body=body) if hedge is not None else None
            if hedge is None or lease is None:
                return None
            self._leases += (lease,)
            attempt = self._begin(hedge, lease)
            send = attempt.prepare_now()  # the first call is running: this one must not wait
            if send is not None:
                calls.append((hedge, attempt))
            return send

        prepared = first.prepare()
        send = prepared if isinstance(prepared, Send) else (yield from prepared)
        if isinstance(send, Failure):
            return choice, first, send
        after_s = self._context.rule.retry.hedge_after_s or 0.0
        raced: Raced = yield Race(send, second, after_s, self._is_good)
        won = calls.pop(raced.winner)
        head = raced.results[raced.winner]
        assert head is not None
        for _, lost in calls:
            lost.drop(raced.results[1 - raced.winner])
        return *won, head

    def _begin(self, choice: Choice, lease: Lease) -> Attempt:
        self._plan.tries(choice.candidate)
        return Attempt.of(
            self._context,
            choice.candidate,
            lease,
            self._plan.made,
            self._plan.preferred_host,
        )

    def _report(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Report how the attempt went, and return whether it was good.

        A stream keeps its lease until it ends.
        """
        is_good = outcome.is_good
        now, lease = self._context.clock(), attempt.lease
        if outcome.status in _REFUSED_KEY and attempt.has_key:
            self._context.settings.key_refused(attempt.upstream.host, outcome.status)
        if outcome.relay is None:
            if not is_good or attempt.upstream.prices is not NO_PRICES:
                charge = attempt.bill(outcome.summary, is_good)
                self._charges += () if charge is None else (charge,)
            if is_good:
                lease.end("success", now)
                return True
            retry_after_s = outcome.retry_after_s or 0.0
            lease.end(outcome.result, now, retry_after_s=retry_after_s, cause=outcome.cause)
        else:
            lease.vouch(now)
        return is_good

    def _is_good(self, head: ResponseHead) -> bool:
        return head.status not in self._context.rule.retry.codes

    def _reply(self, attempt: Attempt, outcome: Outcome) -> Reply:
        context, settings = self._context, self._context.settings
        has_retried = self._plan.made > 1
        self._plan.served = attempt.candidate
        if outcome.error is not None:
            error = outcome.error
            shown = dict(error.headers) | ({"x-should-retry": "false"} if has_retried else {})
            if settings.show_routing:
                shown |= {k.decode(): v.decode() for k, v in self._routing_headers(attempt)}
            error.headers = shown
            raise error
        headers = outcome.headers
        if has_retried and (outcome.status >= 500 or outcome.status in _SDK_RETRIES):
            headers = [field for field in headers if field[0] != b"x-should-retry"]
            headers.append((b"x-should-retry", b"false"))
        if settings.show_routing:
            headers += self._routing_headers(attempt)
        if self._admission is not None:
            headers = instead_of_quota(headers, self._admission.fields())
        observation, relay = context.observation, outcome.relay
        observation.replying(attempt=attempt.number, is_stream=relay is not None)
        if relay is not None:
            conclude = partial(self._conclude, attempt)
            body = relayed_body(attempt, outcome, relay, context, conclude)
            return Reply(outcome.status, headers, body)
        if settings.show_cost and (cost := format_costs(self._charges)):
            headers.append((b"x-llm-mesh-cost", cost.encode()))
        summary, usage = outcome.summary, outcome.counted
        if summary is not None:
            observation.summarised(summary)
            usage = summary.usage
            if summary.dropped:
                attempt.log_dropped(summary.dropped)
        observation.ended(outcome.status, None, usage)
        return Reply(outcome.status, headers, outcome.body)

    def _conclude(self, attempt: Attempt, summary: AnswerSummary) -> None:
        """Bill the attempt and record the response at the end of a stream."""
        attempt.bill(summary)
        if summary.dropped:
            attempt.log_dropped(summary.dropped)
        if summary.id is not None and self._context.operation.continues_by:
            provider, now = attempt.upstream.identity, self._context.clock()
            self._affinity.note(self._context.route, summary.id, provider, now)

    def _routing_headers(self, attempt: Attempt) -> tuple[tuple[bytes, bytes], ...]:
        context, provider = self._context, attempt.upstream.identity.name
        model = (attempt.model or "")[:MAX_FIELD_TEXT]
        rule, made = context.rule.name, self._plan.made
        return _routing_headers(provider, context.route, rule, model, made)


# A client may choose the model: as many of them as `field_value` keeps.
@lru_cache(maxsize=1024)
def _routing_headers(
    provider: str, route: str, rule: str, model: str, attempts: int
) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-llm-mesh-provider", field_value(provider)),
        (b"x-llm-mesh-route", field_value(route)),
        (b"x-llm-mesh-rule", field_value(rule)),
        (b"x-llm-mesh-model", field_value(model)),
        (b"x-llm-mesh-attempts", b"%d" % attempts),
    )
