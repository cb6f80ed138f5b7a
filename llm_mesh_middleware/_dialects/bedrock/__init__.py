"""Amazon Bedrock's Converse API, which clients reach by translation only."""

from __future__ import annotations

from .dialect import COUNTER, DIALECT, Converse

__all__ = ["COUNTER", "DIALECT", "Converse"]
