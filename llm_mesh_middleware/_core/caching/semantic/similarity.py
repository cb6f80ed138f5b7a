"""Requests to a store about vectors, and the similarity of two vectors.

A partition holds the vectors of requests that only differ in the words of their last message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

__all__ = ["Near", "Nearest", "Remember", "Vector", "cosine"]

Vector = Sequence[float]


class Nearest(msgspec.Struct, frozen=True):
    """Return `Near` for the entries of a partition above the threshold, the nearest first."""

    partition: str
    vector: Vector
    threshold: float


class Remember(msgspec.Struct, frozen=True):
    """Store for `ttl_s` that `key` is the entry of a request with this vector."""

    partition: str
    vector: Vector
    key: str
    ttl_s: float


class Near(msgspec.Struct, frozen=True):
    """The key of an entry, and the cosine between the vectors of its request and of this one."""

    key: str
    similarity: float


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of the angle between two vectors; 0 if they cannot be compared."""
    size = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or not size:
        return 0.0
    return min(1.0, sum(a * b for a, b in zip(one, other, strict=True)) / size)
