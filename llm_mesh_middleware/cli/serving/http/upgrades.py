"""Requests for another protocol, which are served as if they had not asked (RFC 9110 7.8).

The parser would treat the body of such a request as the other protocol. Java's client asks for
HTTP/2 like this in its first request, also in one with a body.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["without_upgrade"]

_CONNECTION = b"connection"
_OF_UPGRADES = frozenset((_CONNECTION, b"upgrade", b"http2-settings"))


def without_upgrade(
    method: bytes, target: bytes, version: str, fields: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """Return the head of a request again, without the fields that ask for an upgrade."""
    kept = [field for field in fields if field[0] not in _OF_UPGRADES]
    if any(b"close" in value.lower() for name, value in fields if name == _CONNECTION):
        kept.append((_CONNECTION, b"close"))
    lines = [b"%b %b HTTP/%b\r\n" % (method, target, version.encode())]
    lines += [b"%b: %b\r\n" % field for field in kept]
    return b"".join((*lines, b"\r\n"))
