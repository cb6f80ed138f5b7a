"""One record per copy of a request on the logger `llm_mesh.mirror`: both calls side by side.

There is no content: if configured, digests are compared to report whether both responses are equal.
"""

from __future__ import annotations

import logging

from ..._core.flow.mirrors.outcome import MirrorLeg, MirrorOutcome
from ..._core.pricing.charge import format_costs
from .access_log import Value, clean

__all__ = ["mirror_logger", "mirror_record"]

mirror_logger = logging.getLogger("llm_mesh.mirror")

_MAX_REASONS = 16


def mirror_record(outcome: MirrorOutcome, route: str | None, rule: str | None) -> dict[str, Value]:
    """Return the outcome of a copy; fields of the client's call begin with `primary_`."""
    found: dict[str, Value] = {
        "mirror_provider": outcome.provider,
        "result": outcome.result,
        "route": route,
        "rule": rule,
    }
    for prefix, leg in (("primary_", outcome.primary), ("mirror_", outcome.mirror)):
        if leg is not None:
            found |= {prefix + name: value for name, value in _leg(leg).items()}
    found["same_finish_reasons"] = outcome.has_same_finish
    found["same_content"] = outcome.has_same_content
    return found


def _leg(leg: MirrorLeg) -> dict[str, Value]:
    usage, first_s = leg.usage, leg.first_byte_s
    return {
        "provider": leg.provider,
        "model": None if leg.model is None else clean(leg.model),
        "status": leg.status,
        "duration_ms": round(leg.duration_s * 1000, 3),
        "first_byte_ms": None if first_s is None else round(first_s * 1000, 3),
        "size_bytes": leg.size_bytes,
        "finish_reasons": [clean(each) for each in leg.finish_reasons[:_MAX_REASONS] if each],
        "tokens_in": None if usage is None else usage.input_tokens,
        "tokens_out": None if usage is None else usage.output_tokens,
        "cost": format_costs(leg.charges) or None,
    }
