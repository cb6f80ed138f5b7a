"""The body of an attempt's stream."""

from __future__ import annotations

from collections.abc import Callable

from ...dialect import BodyRelay
from ...values.steps import Body
from ...values.summary import AnswerSummary
from ..stream import StreamEnd, stream_body
from .attempt import Attempt
from .context import CallContext
from .outcome import Outcome

__all__ = ["relayed_body"]


def relayed_body(
    attempt: Attempt,
    outcome: Outcome,
    relay: BodyRelay,
    context: CallContext,
    conclude: Callable[[AnswerSummary], object],
) -> Body:
    """Return the body, which ends the attempt's lease; `conclude` is called with its summary."""
    end = StreamEnd(
        outcome.status,
        attempt.lease,
        attempt.upstream.secrets,
        context.clock,
        context.observation,
        conclude,
    )
    return stream_body(
        relay,
        outcome.body,
        end,
        deadline=context.deadline.for_host(attempt.upstream.host),
        idle_s=context.timeouts.idle,
    )
