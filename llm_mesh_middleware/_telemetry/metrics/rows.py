"""The measurements of one exchange."""

from __future__ import annotations

import msgspec

from ..._core.values.usage import Usage
from ..spans.propagation import LazyContext

__all__ = ["CallRow"]


class CallRow(msgspec.Struct, frozen=True, gc=False):
    """The measurements of one finished exchange; all durations are in seconds.

    `is_success`: the provider's response was a success. `has_sole_attempt`: its only attempt was a
    success, which is counted with it. `parent` has the span of the exchange, for
    exemplars.
    """

    duration_s: float
    overhead_s: float
    first_chunk_s: float | None
    usage: Usage | None
    is_success: bool
    has_sole_attempt: bool
    parent: LazyContext | None
