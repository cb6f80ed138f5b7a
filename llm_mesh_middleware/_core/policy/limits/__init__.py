"""Limits as policies: a layer around a call, and a check before each attempt."""

from __future__ import annotations

from collections.abc import Sequence

from ...limiting.item import Item
from ...limiting.limit import Limit
from ...provider.upstream import Upstream
from .one_bucket import BucketLimit
from .policy import AttemptLimits, CallLimits
from .service import ServiceLimit, ServiceLimits

__all__ = ["AttemptLimits", "CallLimits", "ServiceLimit", "ServiceLimits", "call_limits"]


def call_limits(items: Sequence[Item], upstreams: Sequence[Upstream]) -> CallLimits:
    """Return the limits and budgets of one rule, but those of its attempts, as a layer."""
    found = tuple(items)
    if len(found) == 1 and isinstance(found[0], Limit) and found[0].rate and not found[0].is_shadow:
        return BucketLimit(found, tuple(upstreams), limit=found[0])
    return CallLimits(found, tuple(upstreams))
