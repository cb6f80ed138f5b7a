"""Amazon Bedrock's Converse API, which clients reach by translation only."""

from __future__ import annotations

from .dialect import DIALECT, Converse

__all__ = ["DIALECT", "Converse"]
