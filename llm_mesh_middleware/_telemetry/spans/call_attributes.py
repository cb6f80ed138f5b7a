"""The attributes of a call's CLIENT span: those it starts with, and those it ends with."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice

from ..._core.values.messages import UpstreamRequest
from .. import semconv
from ..ending import Ending
from ..metrics.policies import notable
from ..progress import CallProgress
from .request_attributes import AttributeValue, request_attributes
from .response_attributes import add_summary, add_usage

__all__ = ["end_attributes", "start_attributes"]

_MAX_TEXT = 256
_MAX_ATTRIBUTES = 16
_MAX_KINDS = 512
_API_TYPES = {"/chat/completions": "chat_completions", "/responses": "responses"}
# Attributes of the application that have a name in the conventions, or a name of the mesh.
_NAMED = {
    "consumer": semconv.CONSUMER,
    semconv.USER_ID: semconv.USER_ID,
    semconv.SESSION_ID: semconv.SESSION_ID,
}


def start_attributes(progress: CallProgress, request: UpstreamRequest) -> dict[str, AttributeValue]:
    """Return the attributes that a sampler may use, and those of the routing decision.

    Calls with the same attributes get one object, which must not be changed.
    """
    client, selection, endpoint = progress.request, progress.selection, request.endpoint
    operation, model, client_model = client.operation, request.model, client.model
    found = _routed(
        progress.operation,
        operation.suffix if operation is not None else "",
        request.vendor,
        request.provider,
        endpoint.provider_host,
        endpoint.port,
        client.host,
        None if model is None else model[:_MAX_TEXT],
        None if client_model is None else client_model[:_MAX_TEXT],  # may be any text
        None if selection is None else selection.route,
        None if selection is None else selection.rule,
        selection is not None and selection.lacks_sticky_key,
    )
    if client.attributes:
        found = dict(found)
        for name, value in islice(client.attributes.items(), _MAX_ATTRIBUTES):
            known = _NAMED.get(name) or semconv.ATTRIBUTE_PREFIX + name
            found[known] = str(value)[:_MAX_TEXT]
    return found


@lru_cache(maxsize=_MAX_KINDS)
def _routed(
    operation: str,
    suffix: str,
    vendor: str,
    provider: str,
    host: str,
    port: int,
    virtual_host: str,
    model: str | None,
    client_model: str | None,
    route: str | None,
    rule: str | None,
    lacks_sticky_key: bool,
) -> dict[str, AttributeValue]:
    known: dict[str, AttributeValue | None] = {
        semconv.OPERATION: operation,
        semconv.PROVIDER: semconv.provider_name(host, vendor, provider),
        semconv.PROVIDER_NAME: provider,
        semconv.SERVER_ADDRESS: host,
        semconv.SERVER_PORT: port,
        semconv.VIRTUAL_HOST: virtual_host,
        semconv.REQUEST_MODEL: model,
        semconv.CLIENT_MODEL: client_model,
        semconv.ROUTE_NAME: route,
        semconv.RULE_NAME: rule,
        semconv.STICKY_MISSING: lacks_sticky_key or None,
        semconv.OPENAI_API_TYPE: _API_TYPES.get(suffix),
    }
    return {name: value for name, value in known.items() if value is not None}


def end_attributes(progress: CallProgress, ending: Ending) -> dict[str, AttributeValue]:
    """Return the attributes of a call that has ended."""
    first, last, sent_at = progress.first, progress.last, progress.sent_at
    found = request_attributes(progress.request.fields)
    found[semconv.ATTEMPT_COUNT] = progress.attempts
    found[semconv.USAGE_SOURCE] = "none" if ending.usage is None else "provider"
    if last is not None:
        host = last.endpoint.provider_host
        if first is not None and first is not last and host != first.endpoint.provider_host:
            # The provider of the response is not the one of the first attempt.
            found |= start_attributes(progress, last)
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
        add_usage(found, ending.usage, has_output=progress.operation != "embeddings")
    if progress.charges and (cost := progress.cost) is not None:
        found[semconv.COST_CURRENCY], amount = cost
        found[semconv.COST_AMOUNT] = amount / 1e9
    if progress.decisions and (decisions := notable(progress.decisions)):
        found[semconv.POLICY_DECISIONS] = tuple(decisions)
    if progress.summary is not None:
        add_summary(found, progress.summary, is_whole=ending.error is None)
    return found
