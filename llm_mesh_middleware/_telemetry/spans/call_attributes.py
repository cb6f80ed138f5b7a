"""The attributes of a call's CLIENT span: those it starts with, and those it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from ..._core.values.messages import ClientRequest
from .. import semconv
from ..ending import Ending
from ..metrics.policies import notable
from ..progress import CallProgress
from .call_kinds import CallKind
from .request_attributes import AttributeValue, request_attributes
from .response_attributes import add_summary, add_usage

__all__ = ["end_attributes", "start_attributes"]

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


def end_attributes(
    progress: CallProgress, ending: Ending, last_kind: CallKind | None
) -> dict[str, AttributeValue]:
    """Return the attributes of a call that has ended; `last_kind` is that of its last attempt."""
    first, last, sent_at = progress.first, progress.last, progress.sent_at
    found = request_attributes(progress.request.fields)
    found[semconv.ATTEMPT_COUNT] = progress.attempts
    found[semconv.USAGE_SOURCE] = "none" if ending.usage is None else "provider"
    if last is not None:
        host = last.endpoint.provider_host
        if last_kind and first is not last and first and host != first.endpoint.provider_host:
            # The provider of the response is not the one of the first attempt.
            found |= start_attributes(last_kind, progress.request)
        if host != last.preferred_host:
            found[semconv.IS_FALLBACK] = True
        if last.added_usage:
            found[semconv.USAGE_INJECTED] = True
        summary = progress.summary
        if dropped := last.dropped if summary is None else last.dropped + summary.dropped:
            found[semconv.DROPPED] = dropped
    if sent_at is not None:
        found[semconv.OVERHEAD] = sent_at - progress.started_at
    if ending.status is not None:
        found[semconv.HTTP_STATUS] = ending.status
    if ending.error_type is not None:
        found[semconv.ERROR_TYPE] = ending.error_type
    if (request_id := progress.upstream_request_id) is not None:
        found[semconv.UPSTREAM_REQUEST_ID] = request_id[:_MAX_TEXT]
    if progress.is_stream:
        found[semconv.REQUEST_STREAM] = True
        found[semconv.STREAM_OUTCOME] = ending.outcome
        if (seconds := progress.first_chunk_s) is not None:
            found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
    if ending.usage is not None:
        add_usage(found, ending.usage, has_output=last_kind is None or last_kind.has_output)
    if progress.charges and (cost := progress.cost) is not None:
        found[semconv.COST_CURRENCY], amount = cost
        found[semconv.COST_AMOUNT] = amount / 1e9
    if progress.decisions and (decisions := notable(progress.decisions)):
        found[semconv.POLICY_DECISIONS] = tuple(decisions)
    if progress.summary is not None:
        add_summary(found, progress.summary, is_whole=ending.error is None)
    return found
