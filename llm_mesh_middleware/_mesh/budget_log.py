"""A log line for each threshold that a budget passes."""

from __future__ import annotations

import logging

from .._core.pricing.charge import format_amount
from .._core.values.decision import Decision

__all__ = ["log_budget"]

logger = logging.getLogger("llm_mesh_middleware")


def log_budget(decision: Decision) -> None:
    """Log how much of a budget is left; only observers learn for which consumer."""
    logger.warning(
        "budget %r of LLMPolicy %s: %s of %s %s are left",
        decision.item,
        decision.policy,
        format_amount(max(0, decision.left or 0)),
        format_amount(decision.of),
        decision.currency,
    )
