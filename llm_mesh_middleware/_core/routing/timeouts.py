"""Time limits for the phases of an upstream call."""

from __future__ import annotations

import msgspec

__all__ = ["Timeouts"]


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds for each phase.

    `first_byte` counts from sending the request to the first byte of the response body, `idle`
    between two reads after it, `request` covers everything, all attempts included.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    request: float = 600.0
