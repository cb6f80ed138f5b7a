"""Amazon Bedrock's Converse API, which clients reach by translation only."""

from __future__ import annotations

from ..targets import PLACE
from ..translation.pair import ForeignAPI
from .dialect import COUNTER, DIALECT, Converse

__all__ = ["API", "COUNTER", "DIALECT", "Converse"]

API = ForeignAPI(
    side=DIALECT,
    vendor="aws.bedrock",
    path="/model",
    suffix=f"/{PLACE}/converse",
    counter=COUNTER,
    counted_at=f"/{PLACE}/count-tokens",
)
