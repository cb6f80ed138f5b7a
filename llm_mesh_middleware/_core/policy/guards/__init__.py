"""Guards as policies: checks of texts before they are passed on, in both directions."""

from __future__ import annotations

from .concurrent import ConcurrentRequestGuards
from .policy import RequestGuards, ResponseGuards
from .remote import RemoteRequestGuards, RemoteResponseGuards
from .shaping import ShapeGuards

__all__ = [
    "RemoteRequestGuards",
    "RemoteResponseGuards",
    "ConcurrentRequestGuards",
    "RequestGuards",
    "ResponseGuards",
    "ShapeGuards",
]
