"""The mesh in Django: a middleware, system checks and a management command."""

from __future__ import annotations

from .conf import get_mesh
from .middleware import LLMMeshMiddleware

__all__ = ["LLMMeshMiddleware", "get_mesh"]
