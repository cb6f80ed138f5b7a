"""The right to make a call for all processes that share a store of responses.

first claim      gets the lease, and makes the call
others           wait, and claim again and again
entry is kept    those who wait reply with it
call failed      the lease is given back: one of those who wait gets it
nothing to keep  the lease is given up: for a moment nobody needs one
holder is gone   nobody renews the lease, so it ends by itself
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from .entry import Found

__all__ = ["Claim", "Claimed", "Lease", "Lessor"]


class Lease(msgspec.Struct, frozen=True):
    """The lease of a key; `holder` is like no other."""

    key: str
    holder: bytes


class Claim(msgspec.Struct, frozen=True):
    """Return `Claimed`: a lease of the key, unless there is one; and what is kept by now."""

    key: str


class Claimed(msgspec.Struct, frozen=True):
    """The lease if it was free. `is_free` says that none is needed."""

    found: Found | None
    lease: Lease | None = None
    is_free: bool = False


class Lessor(Protocol):
    """Renews leases until they are released."""

    def release(self, lease: Lease, *, is_given_up: bool) -> None:
        """Take a lease back soon; return at once."""
