"""A provider's API that no client speaks: requests of every dialect are translated to it."""

from __future__ import annotations

import msgspec

from ..._core.conversation.sides import ProviderSide
from .counting import CountingProvider

__all__ = ["ForeignAPI"]


class ForeignAPI(msgspec.Struct, frozen=True, kw_only=True):
    """How such an API is reached.

    Attributes:
        side: the dialect.
        vendor: its vendor in telemetry.
        path: the request target if the configuration has none, without `suffix`.
        suffix: what every request target ends with.
        key_field: the header field of the key.
        counter: counts tokens, if the vendor has an API for that.
        counted_at: what the request target of the counter ends with.
    """

    side: ProviderSide
    vendor: str
    path: str
    suffix: str = ""
    key_field: bytes = b"authorization"
    counter: CountingProvider | None = None
    counted_at: str = ""
