"""The facts of a response as span attributes, never its content."""

from __future__ import annotations

from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from .. import semconv
from .request_attributes import AttributeValue

__all__ = ["add_facts", "add_shares"]

_SHORT = slice(256)
_MAX_REASONS = 128


def add_shares(found: dict[str, AttributeValue], usage: Usage) -> None:
    """Add the parts of the token counts that providers price separately."""
    if usage.cache_read_tokens:
        found[semconv.USAGE_CACHE_READ] = usage.cache_read_tokens
    if usage.cache_write_tokens:
        found[semconv.USAGE_CACHE_WRITE] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        found[semconv.USAGE_REASONING] = usage.reasoning_tokens


def add_facts(found: dict[str, AttributeValue], summary: AnswerSummary, *, is_whole: bool) -> None:
    """Add the facts that responses share; a choice that broke off has the reason `error`."""
    if summary.model is not None:
        found[semconv.RESPONSE_MODEL] = summary.model[_SHORT]
    if summary.system_fingerprint is not None:
        found[semconv.OPENAI_FINGERPRINT] = summary.system_fingerprint[_SHORT]
    if summary.service_tier is not None:
        found[semconv.OPENAI_RESPONSE_TIER] = summary.service_tier[_SHORT]
    reasons = summary.finish_reasons[:_MAX_REASONS]
    if is_whole:  # lists: generators are slower
        shown = [reason[_SHORT] for reason in reasons if reason is not None]
    else:
        shown = [reason[_SHORT] if reason else "error" for reason in reasons or (None,)]
    if shown:
        found[semconv.RESPONSE_FINISH_REASONS] = tuple(shown)
