"""Guards as a policy: what is said is looked at before it is sent, in both directions."""

from __future__ import annotations

from .policy import RequestGuards, ResponseGuards

__all__ = ["RequestGuards", "ResponseGuards"]
