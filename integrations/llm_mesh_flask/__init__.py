"""The mesh in Flask: an extension and its commands."""

from __future__ import annotations

from .extension import LLMMesh

__all__ = ["LLMMesh"]
