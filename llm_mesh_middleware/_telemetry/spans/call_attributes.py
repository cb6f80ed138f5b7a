"""The attributes of a call's CLIENT span.

start_attributes    follow from the kind of the call, but for those of the application
known_attributes    follow from how it ends (`call_ends`)
own_attributes      are of this call alone
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from ..._core.values.messages import ClientRequest
from .. import semconv
from ..ending import Ending
from ..metrics.policies import notable
from ..progress import CallProgress
from .call_ends import known_attributes
from .call_kinds import CallKind
from .request_attributes import PARAMETERS, AttributeValue, request_attributes
from .response_attributes import add_shares

__all__ = ["end_attributes", "own_attributes", "start_attributes"]

_MAX_TEXT = 256
_MAX_ATTRIBUTES = 16
# Attributes of the application that have a name in the conventions, or a name of the mesh.
_NAMED = {
    "consumer": semconv.CONSUMER,
    semconv.USER_ID: semconv.USER_ID,
    semconv.SESSION_ID: semconv.SESSION_ID,
}


def start_attributes(kind: CallKind, client: ClientRequest) -> Mapping[str, AttributeValue]:
    """Return the attributes that a call of this kind starts with; they must not be changed."""
    if not client.attributes:
        return kind.attributes
    found = dict(kind.attributes)
    for name, value in islice(client.attributes.items(), _MAX_ATTRIBUTES):
        known = _NAMED.get(name) or semconv.ATTRIBUTE_PREFIX + name
        found[known] = str(value)[:_MAX_TEXT]
    return found


def own_attributes(
    progress: CallProgress, ending: Ending, has_output: bool
) -> dict[str, AttributeValue]:
    """Return the attributes of a call that others do not have in common with it."""
    sent_at, summary, usage = progress.sent_at, progress.summary, ending.usage
    fields = progress.request.fields
    found = {} if PARAMETERS.isdisjoint(fields) else request_attributes(fields)
    if sent_at is not None:
        found[semconv.OVERHEAD] = sent_at - progress.started_at
    if progress.heads and (request_id := progress.upstream_request_id) is not None:
        found[semconv.UPSTREAM_REQUEST_ID] = request_id[:_MAX_TEXT]
    if progress.is_stream:
        found[semconv.REQUEST_STREAM] = True
        if (seconds := progress.first_chunk_s) is not None:
            found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
    if usage is not None:
        found[semconv.USAGE_INPUT] = usage.input_tokens
        if has_output:
            found[semconv.USAGE_OUTPUT] = usage.output_tokens
        if usage.cache_read_tokens or usage.cache_write_tokens or usage.reasoning_tokens:
            add_shares(found, usage)
        if usage.modalities:
            for kind, amount in usage.modalities:
                found[f"gen_ai.usage.{kind}"] = amount
    if progress.charges and (cost := progress.cost) is not None:
        found[semconv.COST_CURRENCY], amount = cost
        found[semconv.COST_AMOUNT] = amount / 1e9
    if progress.decisions and (decisions := notable(progress.decisions)):
        found[semconv.POLICY_DECISIONS] = tuple(decisions)
    if summary is not None:
        if (shown := summary.id) is not None:
            found[semconv.RESPONSE_ID] = shown if len(shown) <= _MAX_TEXT else shown[:_MAX_TEXT]
        if summary.events:
            found[semconv.CHUNK_COUNT] = summary.events
    return found


def end_attributes(
    progress: CallProgress, ending: Ending, kind: CallKind | None
) -> dict[str, AttributeValue]:
    """Return the attributes of a call that has ended; `kind` is that of its last attempt."""
    has_output = kind is None or kind.has_output
    return {
        **known_attributes(progress, ending),
        **own_attributes(progress, ending, has_output),
    }
