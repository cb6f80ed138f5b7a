"""One client request from arrival to reply, as a generator that decides and never does I/O.

It yields steps, receives their results, and returns a `Reply`. The first byte of the reply is the
commit point: before it any attempt can follow, after it nothing is retried.

decided at once
    understand     the operation, the members of the body, the model
    check_hops     refuse a call that has passed this mesh before
    list_models    reply from the configuration, if that is the question
    select         the first rule that matches
    estimate       reply with an estimate, if tokens are to be counted and no provider can
    AttemptPlan    the order in which its backends are tried
run as steps, the outermost first
    keep_alive     comments for a client that waits for a stream
    watched        reads the metrics of servers whose load decides
    chain          the rule's policies, around:
    Mirroring      copies requests
    Picking        asks the endpoint pickers of pools
    AttemptSequence   the attempts themselves
"""

from __future__ import annotations

from collections.abc import Callable

from ..dialect import ServedOperation
from ..http.hops import check_hops
from ..routing.table import RouteRule, VirtualHost
from ..values.messages import ClientRequest, Deadline
from ..values.selection import Selection
from .attempts.context import CallContext, ExchangeSettings
from .attempts.plan import AttemptPlan
from .attempts.sequence import AttemptSequence
from .call import Account, Admission, Call, account_of, admitted
from .keepalive import keep_alive
from .mirrors.layer import Mirroring
from .observer import Observation, end_by
from .own_replies import estimate, list_models
from .policies import chain
from .reply import Flow, Reply
from .servers.picking import Picking
from .servers.watching import watched
from .state import MeshState
from .understanding import understand

__all__ = ["exchange"]


def exchange(
    host: VirtualHost,
    request: ClientRequest,
    settings: ExchangeSettings,
    state: MeshState,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    random: Callable[[], float],
    observation: Observation,
    keepalive_s: float = 0.0,
) -> Flow:
    """Return the flow that serves `request`, or raise what can be refused without waiting.

    Args:
        request: its body is complete.
        state: the health of the providers, and the retry budgets.
        clock: as in `CallContext`, like `wall_clock` and `random`.
        observation: notified of events; ended exactly once, by the flow or by the reply's body.
        keepalive_s: the longest silence before a waiting client gets a comment; 0 for no limit.
    """
    account, admission, followed = None, None, observation
    try:
        request, operation = understand(host, request, observation)
        check_hops(request.headers, settings.mesh_id)
        found = _reply_or_rule(host, operation, request, observation)
        if not isinstance(found, RouteRule):
            return _at_once(found, observation)
        rule, timeouts, now = found, found.timeouts, clock()
        if rule.gate is not None or rule.policies or rule.mirrors:
            account, admission, followed = _entered(rule, request, settings, state, observation)
        context = CallContext(
            request,
            operation,
            host.route,
            rule,
            settings,
            timeouts,
            Deadline(now + timeouts.request, "request", timeouts.request, host.name),
            clock,
            wall_clock,
            random,
            followed,
        )
        return _flow(context, account, admission, state, keepalive_s)
    except BaseException as error:
        end_by(error, followed)
        raise


def _entered(
    rule: RouteRule,
    request: ClientRequest,
    settings: ExchangeSettings,
    state: MeshState,
    observation: Observation,
) -> tuple[Account | None, Admission | None, Observation]:
    """Return the account of the call, or what its gate has admitted, and who is notified."""
    if rule.gate is not None:
        admission = rule.gate.admit(request, rule.name, state, observation)
        if admission is not None:
            if admission.settles:
                observation = admitted(observation, settings.show_routing, admission)
            return None, admission, observation
    account = account_of(observation, settings.show_routing)
    return account, None, account if rule.settles or account.is_observed else observation


def _reply_or_rule(
    host: VirtualHost, operation: ServedOperation, request: ClientRequest, observation: Observation
) -> Reply | RouteRule:
    """Return the mesh's own reply to an operation, or else the rule that matches."""
    if operation.write_models is not None and (listed := list_models(host, operation, request)):
        return listed
    rule = host.select(request)
    if observation.__class__ is not Observation:  # somebody listens
        observation.selected(Selection(host.route, rule.name, rule.balancer.lacks_key(request)))
    if operation.counting and (estimated := estimate(rule, operation, request)):
        return estimated
    return rule


def _flow(
    context: CallContext,
    account: Account | None,
    admission: Admission | None,
    state: MeshState,
    keepalive_s: float,
) -> Flow:
    """Return the attempts, with everything that is put around them."""
    rule, clock, random, operation = context.rule, context.clock, context.random, context.operation
    plan = AttemptPlan(
        rule.backends,
        rule.retry,
        operation,
        state.health,
        state.budget(context.route),
        rule.balancer,
        context.request,
        random,
    )
    picking = Picking(plan, state.pickers, clock) if rule.backends.has_picker else None
    is_alone = account is None and picking is None and not rule.backends.is_watched
    if account is not None:
        run = _layered(context, account, plan, picking, state)
    else:
        run = AttemptSequence(context, plan, state.affinity, is_alone, None, admission).run()
        run = run if picking is None else picking.before(context.request, run)
    if rule.backends.is_watched:
        health, log = state.health, state.on_server
        run = watched(run, rule.backends, health, clock=clock, random=random, log=log)
    flow = run if is_alone else _observed(run, context.observation)
    if keepalive_s and operation.wants_stream(context.request):
        return keep_alive(flow, operation.dialect, interval_s=keepalive_s, clock=clock)
    return flow


def _layered(
    context: CallContext,
    account: Account,
    plan: AttemptPlan,
    picking: Picking | None,
    state: MeshState,
) -> Flow:
    """Return the attempts with the rule's policies, mirrors and pickers around them."""
    rule = context.rule
    layers = rule.policies
    if rule.mirrors:
        layers = (*layers, Mirroring(rule.mirrors, context, state.mirrors))
    if picking is not None:
        layers = (*layers, picking)
    call = Call(context.request, account, context, state)
    attempts = AttemptSequence(context, plan, state.affinity, False, call).proceed
    if len(layers) == 1:
        return layers[0](call, attempts)
    return chain(layers, attempts)(call)


def _at_once(reply: Reply, observation: Observation) -> Flow:
    """Return the flow of the mesh's own reply."""
    observation.ended(reply.status, None, None)
    return reply
    yield  # a generator without a step


def _observed(flow: Flow, observation: Observation) -> Flow:
    """Run `flow` and end its observation if it raises: the observation ends on every path."""
    try:
        return (yield from flow)
    except BaseException as error:
        end_by(error, observation)
        raise
