"""How long each phase of an upstream call may take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each phase.

    `first_byte` counts from sending the request to the first byte of the answer's body, `idle`
    between any two reads after it, `request` for everything, attempts included.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    request: float = 600.0
