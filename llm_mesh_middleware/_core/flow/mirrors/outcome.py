"""The outcome of a copy of a request, for records."""

from __future__ import annotations

from typing import Literal

import msgspec

from ...pricing.charge import Charge
from ...values.usage import Usage

__all__ = ["MirrorLeg", "MirrorOutcome", "MirrorResult"]

MirrorResult = Literal[
    "success",
    "error",
    "timeout",
    "cancelled",
    "skipped_busy",
    "skipped_ejected",
    "skipped_too_large",
]


class MirrorLeg(msgspec.Struct, frozen=True, gc=False):
    """One of the two calls that a mirror compares.

    Attributes:
        provider: the name of the provider's document.
        model: the one that has responded, or else the one that was asked for.
        status: None if there was no response.
        duration_s: up to the end of the response.
        first_byte_s: up to its beginning.
        size_bytes: of the response's body; None for the client's own.
        finish_reasons: one per choice, in the words that all dialects share.
        usage: the token counts.
        charges: what it has cost.
        digest: of the texts of the response, if that was asked for.
    """

    provider: str
    model: str | None
    status: int | None
    duration_s: float
    first_byte_s: float | None = None
    size_bytes: int | None = None
    finish_reasons: tuple[str | None, ...] = ()
    usage: Usage | None = None
    charges: tuple[Charge, ...] = ()
    digest: bytes | None = None


class MirrorOutcome(msgspec.Struct, frozen=True, gc=False):
    """What came of one copy; without `mirror` it was not sent.

    `primary` is the call that the client was served by.
    """

    provider: str
    model: str | None
    result: MirrorResult
    primary: MirrorLeg | None = None
    mirror: MirrorLeg | None = None

    @property
    def has_same_finish(self) -> bool | None:
        """Whether both responses ended for the same reasons; None if one of them did not end."""
        primary, mirror = self.primary, self.mirror
        if primary is None or mirror is None:
            return None
        if not (primary.finish_reasons and mirror.finish_reasons):
            return None
        return primary.finish_reasons == mirror.finish_reasons

    @property
    def has_same_content(self) -> bool | None:
        """Whether both responses say the same; None if that is not known."""
        primary, mirror = self.primary, self.mirror
        if primary is None or mirror is None or primary.digest is None or mirror.digest is None:
            return None
        return primary.digest == mirror.digest
