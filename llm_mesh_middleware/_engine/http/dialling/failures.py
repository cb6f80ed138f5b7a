"""The reasons why no connection could be opened, as clients may read them."""

from __future__ import annotations

import socket

__all__ = ["NotConnected"]

# The most specific first. Others say that the connection was refused.
_REASONS: tuple[tuple[type[OSError], str], ...] = (
    (socket.gaierror, "the name cannot be resolved"),
    (OSError, "the connection was refused"),
)


class NotConnected(Exception):
    """No connection; the message is the reason. `has_connected` if there was one for a moment."""

    def __init__(self, reason: str, *, has_connected: bool = False) -> None:
        super().__init__(reason)
        self.has_connected = has_connected

    @classmethod
    def because(cls, exc: OSError) -> Exception:
        """Return the failure that `exc` is; the deadline's own TimeoutError stays as it is."""
        if isinstance(exc, TimeoutError) and exc.errno is None:
            return exc
        return cls(next(reason for kind, reason in _REASONS if isinstance(exc, kind)))
