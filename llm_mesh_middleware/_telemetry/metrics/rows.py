"""The measurements of one exchange."""

from __future__ import annotations

import msgspec

from ..._core.values.usage import Usage

__all__ = ["CallRow"]


class CallRow(msgspec.Struct, frozen=True):
    """What is measured of one exchange when it is over; all durations are in seconds.

    `has_answer`: the provider's response was a success.
    """

    duration_s: float
    overhead_s: float
    first_chunk_s: float | None
    usage: Usage | None
    has_answer: bool
