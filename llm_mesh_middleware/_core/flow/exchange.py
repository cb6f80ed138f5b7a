"""One client request from arrival to answer, as a generator that decides and never does I/O.

It yields steps, is sent what they brought, and returns a `Reply`. The first byte of the reply is
the commit point: until then everything can be decided anew, afterwards nothing is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache

from ...exceptions import ClientDisconnected, UnsupportedOperation
from ..http.forwarding import ForwardPolicy
from ..provider.health import Lease
from ..routing.table import RouteRule, VirtualHost
from ..values.messages import (
    Answer,
    Await,
    ClientRequest,
    Deadline,
    Failure,
    Race,
    Raced,
    ResponseHead,
    Send,
    Sleep,
    Step,
)
from ..values.operations import Operation
from ..values.payload import decode_fields
from ..values.selection import Selection
from .attempt import Attempt, CallContext, Outcome
from .observer import Observation
from .plan import AttemptPlan, Choice
from .reply import Reply, WatchedReply
from .state import MeshState

__all__ = ["Exchange", "ExchangePolicy", "exchange", "read_operation"]

Exchange = Generator[Step, Answer, Reply]

_MAX_SHOWN = 256
# What official SDKs retry on their own unless they are told not to.
_SDK_RETRIES = frozenset((408, 409, 429))


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """What holds for every exchange of a mesh.

    `show_routing` adds the `x-llm-mesh-*` fields to answers.
    """

    max_response_bytes: int = 64 * 2**20
    forward: ForwardPolicy = ForwardPolicy()
    show_routing: bool = True


def exchange(
    host: VirtualHost,
    request: ClientRequest,
    policy: ExchangePolicy,
    state: MeshState,
    *,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    random: Callable[[], float],
    observation: Observation,
) -> Exchange:
    """Serve `request`, which is addressed to the virtual host `host`.

    Args:
        host: the virtual host of the routing table that this request sees to its end.
        request: the client's request, its body complete.
        policy: limits.
        state: what is known of the providers, and what may be spent on retries.
        clock: a monotonic clock, in seconds; the deadlines of the steps are on it.
        wall_clock: seconds since the epoch, for dates that providers send.
        random: numbers in [0, 1).
        observation: told of what happens; ended exactly once, by the generator or by the reply.

    Raises:
        RequestError: the request is at fault; nothing was sent upstream.
        UpstreamError: the providers are at fault.
    """
    try:
        operation = read_operation(host, request)
        rule = host.select(request)
        lacks_key = rule.balancer.lacks_key(request)
        observation.selected(Selection(host.route, rule.name, lacks_key))
        timeouts = rule.timeouts
        context = CallContext(
            request,
            operation,
            timeouts,
            Deadline(clock() + timeouts.request, "request", timeouts.request, host.name),
            policy.forward,
            policy.max_response_bytes,
            clock,
            wall_clock,
            observation,
        )
        plan = AttemptPlan(
            rule.backends,
            rule.retry,
            operation=operation,
            balancer=rule.balancer,
            call=request,
            health=state.health,
            budget=state.budget(host.route),
            random=random,
        )
        return (yield from _Exchange(context, plan, host.route, rule, policy).run())
    except GeneratorExit:  # the driver gave up, and it does so for one reason only
        observation.ended(None, ClientDisconnected("the client went away"), None)
        raise
    except BaseException as error:  # the observation ends on every path
        observation.ended(getattr(error, "status", None), error, None)
        raise


def read_operation(host: VirtualHost, request: ClientRequest) -> Operation:
    """What the request asks for; its body is read as far as that operation has one.

    Raises:
        RequestError: the path, the method or the body is none of such an operation.
    """
    operation = host.operation(request.path)
    if operation is None:
        raise UnsupportedOperation("the path names no operation that this LLM mesh serves")
    request.operation = operation
    operation.check_method(request.method)
    if operation.has_body:
        request.fields = decode_fields(request.body)
    return operation


class _Exchange:
    """The attempts of one request, one after another, up to the answer for the client."""

    def __init__(
        self,
        context: CallContext,
        plan: AttemptPlan,
        route: str,
        rule: RouteRule,
        policy: ExchangePolicy,
    ) -> None:
        self._context = context
        self._plan = plan
        self._route = route
        self._rule = rule
        self._policy = policy
        self._leases: list[Lease] = []

    def run(self) -> Exchange:
        """Try until there is an answer, or nothing is left to try."""
        clock = self._context.clock
        choice: Choice | None = self._plan.first(clock())
        best: tuple[Attempt, Outcome] | None = None
        try:
            while choice is not None and clock() < self._context.deadline.at:
                if choice.is_on_trial:
                    yield Await(choice.health.on_news, self._context.deadline)
                    choice = self._plan.afforded(choice, clock())
                    continue
                if choice.pause_s and not (yield from self._pause(choice.pause_s)):
                    break
                lease = yield from self._lease(choice)
                if lease is None:
                    self._plan.skips(choice.candidate)
                    choice = self._plan.untried(clock())
                    continue
                choice, attempt, outcome = yield from self._attempt(choice, lease)
                if outcome.error is None or best is None or best[1].error is not None:
                    best = attempt, outcome  # a real answer is not masked by a later failure
                self._tell(attempt.lease, outcome)  # before the plan looks at the provider's health
                choice = self._plan.after(choice, outcome, clock())
        finally:
            for lease in self._leases:
                if best is None or best[1].relay is None or lease is not best[0].lease:
                    lease.end("cancelled", clock())
        if best is None:
            raise self._plan.unavailable(clock())
        return self._reply(*best)

    def _pause(self, seconds: float) -> Generator[Step, Answer, bool]:
        """Wait, unless the request's time would be over before that."""
        if self._context.clock() + seconds >= self._context.deadline.at:
            return False
        yield Sleep(seconds)
        return True

    def _lease(self, choice: Choice) -> Generator[Step, Answer, Lease | None]:
        """The right to call; waiting for a free slot is part of getting a connection."""
        clock, health = self._context.clock, choice.health
        lease = health.lease(clock())
        if lease is None and health.is_available(clock()):
            connect_s = self._context.timeouts.connect
            deadline = self._context.deadline.or_sooner(clock(), "connect", connect_s)
            place = health.queue()
            try:
                yield Await(place.on_slot, deadline)
                lease = place.lease(clock())
            finally:
                place.leave()
        if lease is not None:
            self._leases.append(lease)
        return lease

    def _attempt(
        self, choice: Choice, lease: Lease
    ) -> Generator[Step, Answer, tuple[Choice, Attempt, Outcome]]:
        attempt = self._begin(choice, lease)
        hedge_after_s = self._rule.retry.hedge_after_s
        if hedge_after_s is not None and not attempt.is_for_stream:
            choice, attempt, head = yield from self._race(choice, attempt, hedge_after_s)
        else:
            answer = yield (yield from attempt.prepare())
            assert isinstance(answer, ResponseHead | Failure)
            head = answer
        return choice, attempt, (yield from attempt.receive(head))

    def _race(
        self, choice: Choice, first: Attempt, after_s: float
    ) -> Generator[Step, Answer, tuple[Choice, Attempt, ResponseHead | Failure]]:
        """A second attempt beside a slow first; the first good head wins, the other is dropped."""
        calls = [(choice, first)]

        def second() -> Send | None:
            now = self._context.clock()
            hedge = self._plan.hedge(now)
            lease = hedge.health.lease(now) if hedge is not None else None
            if hedge is None or lease is None:
                return None
            self._leases.append(lease)
            attempt = self._begin(hedge, lease)
            send = attempt.prepare_now()  # the first call is under way: this one must not wait
            if send is not None:
                calls.append((hedge, attempt))
            return send

        raced = yield Race((yield from first.prepare()), second, after_s, self._is_good)
        assert isinstance(raced, Raced)
        won = calls.pop(raced.winner)
        head = raced.answers[raced.winner]
        assert head is not None
        for _, lost in calls:
            lost.drop(raced.answers[1 - raced.winner])
        return *won, head

    def _begin(self, choice: Choice, lease: Lease) -> Attempt:
        self._plan.tries(choice.candidate)
        candidate = choice.candidate
        return Attempt(
            self._context,
            candidate.backend.upstream,
            candidate.endpoint,
            lease,
            self._plan.made,
            preferred_host=self._plan.preferred_host,
        )

    def _tell(self, lease: Lease, outcome: Outcome) -> None:
        """How the attempt went; a stream keeps its lease, and its end is yet to be seen."""
        now = self._context.clock()
        if outcome.relay is None:
            lease.end(outcome.result, now, retry_after_s=outcome.retry_after_s or 0.0)
        else:
            lease.vouch(now)

    def _is_good(self, head: ResponseHead) -> bool:
        return head.status not in self._rule.retry.codes

    def _reply(self, attempt: Attempt, outcome: Outcome) -> Reply:
        has_retried = self._plan.made > 1
        if outcome.error is not None:
            error = outcome.error
            told = dict(error.headers) | ({"x-should-retry": "false"} if has_retried else {})
            if self._policy.show_routing:
                told |= {k.decode(): v.decode() for k, v in self._routing_headers(attempt)}
            error.headers = told
            raise error
        headers = outcome.headers
        if has_retried and (outcome.status >= 500 or outcome.status in _SDK_RETRIES):
            headers = [field for field in headers if field[0] != b"x-should-retry"]
            headers.append((b"x-should-retry", b"false"))
        if self._policy.show_routing:
            headers += self._routing_headers(attempt)
        context = self._context
        observation, relay = context.observation, outcome.relay
        observation.replying(attempt=attempt.number, is_stream=relay is not None)
        is_watched = relay is not None and observation.wants_chunks
        if relay is not None and is_watched:
            observation.chunks(relay.events)
        return (WatchedReply if is_watched else Reply)(
            outcome.status,
            headers,
            outcome.body,
            relay=relay,
            summary=outcome.summary,
            lease=attempt.lease,
            clock=context.clock,
            observation=observation,
            idle_s=context.timeouts.idle,
            request_deadline=context.deadline.for_host(attempt.upstream.host),
        )

    def _routing_headers(self, attempt: Attempt) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-llm-mesh-provider", _shown(attempt.upstream.provider)),
            (b"x-llm-mesh-route", _shown(self._route)),
            (b"x-llm-mesh-rule", _shown(self._rule.name)),
            (b"x-llm-mesh-model", _shown(attempt.model or "")),
            (b"x-llm-mesh-attempts", b"%d" % self._plan.made),
        ]


def _shown(text: str) -> bytes:
    """Return `text` as a field value: a model name may come from a client and hold anything."""
    return _as_field(text[:_MAX_SHOWN])


# At most 1,024 texts of 256 characters: a client may choose them.
@lru_cache(maxsize=1024)
def _as_field(text: str) -> bytes:
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    cleaned = "".join(char if char.isprintable() else "?" for char in text)
    return cleaned.encode("ascii", "replace")
