"""One client request from arrival to reply, as a generator that decides and never does I/O.

It yields steps, receives their results, and returns a `Reply`. The first byte of the reply is the
commit point: before it any attempt can follow, after it nothing is retried.

    understand     the operation, the members of the body, the model
    check_hops     refuse a call that has passed this mesh before
    list_models    reply from the configuration, if that is the question
    select         the first rule that matches
    AttemptPlan    the order in which its backends are tried
    chain          the rule's policies, around:
                   Mirroring, which copies requests
                   AttemptSequence, the attempts themselves
    keep_alive     comments for a client that waits for a stream, around everything
"""

from __future__ import annotations

from collections.abc import Callable

from ...exceptions import ClientDisconnected
from ..dialect import ServedOperation
from ..http.hops import check_hops
from ..provider.identity import ProviderIdentity
from ..routing.table import RouteRule, VirtualHost
from ..values.messages import ClientRequest, Deadline
from ..values.payload import read_text
from ..values.selection import Selection
from .attempts.attempt import CallContext
from .attempts.plan import AttemptPlan
from .attempts.sequence import AttemptSequence, ExchangePolicy
from .call import Account, Call
from .keepalive import keep_alive
from .mirrors.layer import Mirroring
from .observer import Observation
from .own_replies import estimate, list_models
from .policies import chain
from .reply import Flow, Reply
from .servers.picking import Picking
from .servers.watching import watched
from .state import MeshState
from .understanding import understand

__all__ = ["ExchangePolicy", "exchange"]


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
    keepalive_s: float = 0.0,
) -> Flow:
    """Return the flow that serves `request`, which is addressed to the virtual host `host`.

    Everything that needs no waiting is decided before the flow is returned.

    Args:
        host: the virtual host, of the routing table that this request uses to its end.
        request: the client's request, its body complete.
        policy: limits.
        state: the health of the providers, and the retry budgets.
        clock: a monotonic clock, in seconds; the deadlines of the steps are on it.
        wall_clock: seconds since the epoch, for dates that providers send.
        random: numbers in [0, 1).
        observation: notified of events; ended exactly once, by the flow or by the reply's body.
        keepalive_s: the seconds of silence after which a client that waits for a stream gets a
        comment; 0 for never.

    Raises:
        RequestError: the request is at fault; nothing was sent upstream.
        UpstreamError: the providers are at fault.
    """

    try:
        request, operation = understand(host, request, observation)
        check_hops(request.headers, policy.mesh_id)
        if operation.write_models is not None and (listed := list_models(host, operation, request)):
            return _at_once(listed, observation)
        rule = host.select(request)
        lacks_key = rule.balancer.lacks_key(request)
        observation.selected(Selection(host.route, rule.name, lacks_key))
        if operation.write_estimate and (estimated := estimate(rule, operation, request)):
            return _at_once(estimated, observation)
        account = None
        if rule.policies or rule.mirrors:
            account = Account(observation, shows_effects=policy.show_routing)
        timeouts = rule.timeouts
        context = CallContext(
            request,
            operation,
            timeouts,
            Deadline(clock() + timeouts.request, "request", timeouts.request, host.name),
            policy.forward,
            policy.max_response_bytes,
            policy.mesh_id,
            clock,
            wall_clock,
            account or observation,
            random,
        )
        call = None if account is None else _call(host, rule, context, account, state)
        plan = AttemptPlan(
            rule.backends,
            rule.retry,
            operation=operation,
            balancer=rule.balancer,
            call=request,
            health=state.health,
            budget=state.budget(host.route),
            random=random,
            affine_to=_continued(request, operation, host.route, state, clock),
        )
    except BaseException as error:
        _end(observation, error)
        raise
    attempts = AttemptSequence(context, plan, host.route, rule, policy, state.affinity, call)
    picking = Picking(plan, state.pickers, clock) if rule.backends.has_picker else None
    if call is not None:
        run = _layered(attempts, call, rule, context, state, picking)
    else:
        run = attempts.run() if picking is None else picking.before(request, attempts.run())
    if rule.backends.is_watched:
        health, told = state.health, state.on_server
        run = watched(run, rule.backends, health, clock=clock, random=random, told=told)
    flow = _observed(run, context.observation)
    if keepalive_s and operation.wants_stream(request):
        return keep_alive(flow, operation.dialect, interval_s=keepalive_s, clock=clock)
    return flow


def _layered(
    attempts: AttemptSequence,
    call: Call,
    rule: RouteRule,
    context: CallContext,
    state: MeshState,
    picking: Picking | None,
) -> Flow:
    """Return the attempts with the rule's policies, mirrors and pickers around them."""
    layers = rule.policies
    if rule.mirrors:
        layers = (*layers, Mirroring(rule.mirrors, context, state.mirrors))
    if picking is not None:
        layers = (*layers, picking)
    return chain(layers, attempts.proceed)(call)


def _call(
    host: VirtualHost, rule: RouteRule, context: CallContext, account: Account, state: MeshState
) -> Call:
    """Return the request as the rule's policies see it."""
    return Call(
        context.request,
        host.route,
        rule.name,
        context.timeouts.request,
        state.store,
        state.learned,
        account,
        context.deadline,
        context.clock,
        context.wall_clock,
        context.mesh_id,
        state.flights,
        state.cache,
        state.warnings,
    )


def _continued(
    request: ClientRequest,
    operation: ServedOperation,
    route: str,
    state: MeshState,
    clock: Callable[[], float],
) -> ProviderIdentity | None:
    """Return the provider that keeps the response which the request continues."""
    if not operation.continues_by:
        return None
    earlier = read_text(request.fields, operation.continues_by)
    return None if earlier is None else state.affinity.recall(route, earlier, clock())


def _at_once(reply: Reply, observation: Observation) -> Flow:
    """Return the flow of a reply that no provider is asked for."""
    observation.ended(reply.status, None, None)
    return reply
    yield  # a generator without a step


def _observed(flow: Flow, observation: Observation) -> Flow:
    """Run `flow` and end its observation if it raises: the observation ends on every path."""
    try:
        return (yield from flow)
    except BaseException as error:
        _end(observation, error)
        raise


def _end(observation: Observation, error: BaseException) -> None:
    if isinstance(error, GeneratorExit):  # the driver closes a flow only if the client has left
        error = ClientDisconnected("the client went away")
    observation.ended(getattr(error, "status", None), error, None)
