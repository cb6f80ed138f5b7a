"""Guards as policies: checks of texts before they are passed on, in both directions."""

from __future__ import annotations

from .asking import AskingRequestGuards, AskingResponseGuards
from .concurrent import ConcurrentRequestGuards
from .policy import RequestGuards, ResponseGuards
from .shaping import ShapeGuards

__all__ = [
    "AskingRequestGuards",
    "AskingResponseGuards",
    "ConcurrentRequestGuards",
    "RequestGuards",
    "ResponseGuards",
    "ShapeGuards",
]
