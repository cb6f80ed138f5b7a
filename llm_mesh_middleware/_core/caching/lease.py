"""The right to make a call for all processes that share a cache store.

first claim        gets the lease, and makes the call
others             wait, and claim repeatedly
entry is stored    waiters reply with it
call failed        the lease is released: one of the waiters gets it
nothing to store   the lease is given up: for a moment every process may make the call
holder has ended   the lease is not renewed and expires
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from .entry import Found

__all__ = ["Claim", "Claimed", "Lease", "Lessor"]


class Lease(msgspec.Struct, frozen=True):
    """The lease of a key; `holder` is unique."""

    key: str
    holder: bytes


class Claim(msgspec.Struct, frozen=True):
    """Return `Claimed`: a lease of the key unless another process has it, and the entry so far."""

    key: str


class Claimed(msgspec.Struct, frozen=True):
    """The lease if it was free. `is_free`: a call needs none."""

    found: Found | None
    lease: Lease | None = None
    is_free: bool = False


class Lessor(Protocol):
    """Renews leases until they are released."""

    def release(self, lease: Lease, *, is_given_up: bool) -> None:
        """Release a lease in the background."""
