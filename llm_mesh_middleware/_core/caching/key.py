"""The key of a request: equal for requests that may have one response, and for no others.

Everything is in it: the policy, the scope, the rule and what its providers are configured to do,
the guards, and what each provider would be asked: the target, and the whole body but for members
that do not change a response. Each part is preceded by its length, so no value can pass for two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["NOT_IN_KEY", "canonical_body", "key_of"]

_VERSION = b"2"
# Members that say how a response is sent, and who asks; who may share one is the scope's business.
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
    """Return the digest of the parts; a part that is missing is not an empty one."""
    digest = hashlib.blake2b(_VERSION, digest_size=32)
    for part in parts:
        if part is None:
            digest.update(b"-")
            continue
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def canonical_body(
    fields: Mapping[str, msgspec.Raw], left_out: Collection[str] = NOT_IN_KEY
) -> bytes | None:
    """Return the members in one spelling, None if they cannot be read.

    The order of members, white space, escapes, and `1` or `1.0` make no difference.
    """
    try:
        members = {
            name: _plain(msgspec.json.decode(value))
            for name, value in fields.items()
            if name not in left_out
        }
        return msgspec.json.encode(members, order="sorted")
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
