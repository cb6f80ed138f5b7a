"""The fields of a call's access record."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.trace import SpanContext

from ..._core.pricing.charge import format_amount
from ..ending import Ending
from ..metrics.policies import notable
from ..progress import CallProgress
from .access_log import Value, clean

__all__ = ["access_record"]

_MAX_REASONS = 16


def access_record(progress: CallProgress, ending: Ending, span: SpanContext) -> dict[str, Value]:
    """Return the fields of a finished call; text from the client or the provider is cleaned.

    Token counts and models have the names of ASM's access log.
    """
    cost = progress.cost
    last, selection, usage = progress.last, progress.selection, ending.usage
    request, summary = progress.request, progress.summary
    sent, first, started = progress.sent_at, progress.first_chunk_s, progress.started_at
    reasons = summary.finish_reasons[:_MAX_REASONS] if summary is not None else None
    return {
        "request_model": _cleaned(last.model if last is not None else request.model),
        "request_prompt_tokens": usage.input_tokens if usage is not None else None,
        "request_completion_tokens": usage.output_tokens if usage is not None else None,
        "request_cached_tokens": usage.cache_read_tokens if usage is not None else None,
        "request_cache_write_tokens": usage.cache_write_tokens if usage is not None else None,
        "request_reasoning_tokens": usage.reasoning_tokens if usage is not None else None,
        "cost": format_amount(cost[1]) if cost is not None else None,
        "currency": cost[0] if cost is not None else None,
        "authority": request.host,
        "method": clean(request.method),
        "path": clean(request.path),
        "status": ending.status,
        "duration_ms": _milliseconds(ending.at - started),
        "overhead_ms": _milliseconds(sent - started) if sent is not None else None,
        "ttfc_ms": _milliseconds(first) if first is not None else None,
        "route": selection.route if selection is not None else None,
        "rule": selection.rule if selection is not None else None,
        "provider": last.provider if last is not None else None,
        "upstream_host": last.endpoint.provider_host if last is not None else None,
        "response_model": _cleaned(summary.model) if summary is not None else None,
        "finish_reasons": [clean(r) for r in reasons if r] if reasons is not None else None,
        "stream": progress.is_stream,
        "attempts": progress.attempts,
        "outcome": ending.outcome if progress.is_stream else None,
        "error_type": ending.error_type,
        "policies": notable(progress.decisions) or None,
        "consumer": _cleaned(request.attributes.get("consumer")),
        "request_id": _cleaned(progress.upstream_request_id),
        "trace_id": trace.format_trace_id(span.trace_id) if span.is_valid else None,
        "span_id": trace.format_span_id(span.span_id) if span.is_valid else None,
    }


def _milliseconds(seconds: float) -> float:
    """Return a duration with three decimals, in a tenth of the time that `round` takes."""
    return int(seconds * 1_000_000 + 0.5) / 1000


def _cleaned(text: str | None) -> str | None:
    return None if text is None else clean(text)
