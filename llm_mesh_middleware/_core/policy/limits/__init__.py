"""Limits as a policy: a layer around a call, and a question before each attempt."""

from __future__ import annotations

from .policy import AttemptLimits, CallLimits
from .service import ServiceLimit, ServiceLimits

__all__ = ["AttemptLimits", "CallLimits", "ServiceLimit", "ServiceLimits"]
