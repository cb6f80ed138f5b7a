"""The cache key of a request: equal only for requests that may share a response.

It covers the policy, the scope, the rule and the configuration of its providers, the guards, and
the request to each provider: the target, and the whole body except members that do not change a
response. Each part is preceded by its length, so that parts cannot be confused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["NOT_IN_KEY", "canonical_body", "key_of"]

_VERSION = b"2"
# Members about the form of the response and the user; the scope decides who shares an entry.
NOT_IN_KEY = frozenset(
    (
        "metadata",
        "prompt_cache_key",
        "safety_identifier",
        "store",
        "stream",
        "stream_options",
        "user",
    )
)


def key_of(parts: Iterable[bytes | str | None]) -> str:
    """Return the digest of the parts; a missing part differs from an empty one."""
    pieces = [_VERSION]
    for part in parts:
        if part is None:
            pieces.append(b"-")
        else:
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            pieces.append(b"%d:%b" % (len(data), data))
    return hashlib.blake2b(b"".join(pieces), digest_size=32).hexdigest()


def canonical_body(body: bytes, left_out: frozenset[str] = NOT_IN_KEY) -> bytes | None:
    """Return the members of a JSON object in canonical form, None if they cannot be read.

    The order of members, white space, escapes, and `1` or `1.0` make no difference.
    """
    try:
        members = _decode(body)
        for name in left_out & members.keys():
            del members[name]
        return _encode(members)
    except _UNREADABLE:
        return None


def _number(text: str) -> int | float:
    """Return a number with a point or an exponent as an integer if it is whole."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


_decode = msgspec.json.Decoder(dict[str, Any], float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)
