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
        model: the model that the response names, otherwise the requested one.
        status: None if there was no response.
        duration_s: the time to the end of the response.
        first_byte_s: the time to its first byte.
        size_bytes: the size of the response's body; None for the client's own call.
        finish_reasons: one per choice, in the terms that all dialects share.
        usage: the token counts.
        charges: the costs.
        digest: a digest of the response's texts, if contents are compared.
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
    """The outcome of one copy; without `mirror` it was not sent.

    `primary` is the client's call.
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
        """Whether both responses have the same content; None if unknown."""
        primary, mirror = self.primary, self.mirror
        if primary is None or mirror is None or primary.digest is None or mirror.digest is None:
            return None
        return primary.digest == mirror.digest
