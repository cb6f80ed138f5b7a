"""Which header fields of a client's request go upstream.

An allow-list: what nobody listed stays here. What belongs to the client's own connection, what is
its credential and what says who it is never goes, whatever the settings say. What chooses the
account that pays goes only if the settings name it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..values.headers import Headers

__all__ = ["HOP_BY_HOP", "NEVER_FORWARDED", "ForwardPolicy", "is_forbidden"]

# RFC 9110 7.6.1, with the historic ones that intermediaries still see.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

# What belongs to the client's own hop, or would say to a provider who the client is.
NEVER_FORWARDED = HOP_BY_HOP | frozenset(
    (
        b"accept-encoding",  # the mesh asks for what it can read
        b"api-key",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"cookie",
        b"cookie2",
        b"expect",
        b"forwarded",
        b"host",
        b"via",
        b"x-api-key",
        b"x-goog-api-key",
        b"x-llm-mesh-hops",  # written anew by each mesh
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    )
)
_NEVER_PREFIXES = (b"proxy-", b"x-forwarded-")

_COMMON = frozenset(
    (
        b"content-type",
        b"idempotency-key",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"x-request-id",
    )
)
_COMMON_FAMILIES = (
    b"accept",
    b"anthropic-",
    b"openai-",
    b"x-dashscope-",
    b"x-stainless-",
)
# A member of a family with one of these in its name says who pays (`openai-organization`,
# `openai-project`, `x-dashscope-workspace`) or is a credential: the owner's choice.
_ACCOUNT_WORDS = (
    b"account",
    b"auth",
    b"billing",
    b"key",
    b"org",
    b"project",
    b"secret",
    b"tenant",
    b"token",
    b"workspace",
)
_MAX_CACHED_NAME = 64


def is_forbidden(name: bytes) -> bool:
    """Return whether the field may never go upstream, whatever the settings say."""
    return name in NEVER_FORWARDED or name.startswith(_NEVER_PREFIXES)


# At most 1,024 names of 64 bytes, as clients choose them; a longer name is nobody's.
@lru_cache(maxsize=1024)
def _is_common(name: bytes) -> bool:
    """Return whether the field goes upstream without the owner's doing."""
    if name in _COMMON:
        return True
    if is_forbidden(name) or not name.startswith(_COMMON_FAMILIES):
        return False
    return not any(word in name for word in _ACCOUNT_WORDS)


@dataclass(frozen=True, slots=True)
class ForwardPolicy:
    """Which request fields go upstream: the built-in list, and the owner's `names` and `prefixes`.

    The owner's win over everything but `is_forbidden`.
    """

    names: frozenset[bytes] = frozenset()
    prefixes: tuple[bytes, ...] = ()

    @classmethod
    def extended(cls, patterns: Iterable[str]) -> ForwardPolicy:
        """Add `patterns` to the built-in list: names, or prefixes `name-*`, in lower case."""
        names, prefixes = set[bytes](), []
        for pattern in patterns:
            if pattern.endswith("*"):
                prefixes.append(pattern[:-1].encode("latin-1"))
            else:
                names.add(pattern.encode("latin-1"))
        return cls(frozenset(names), tuple(prefixes))

    def select(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """Return the client's fields that may go upstream, in their order."""
        named = headers.connection_options()
        common = [
            field
            for field in headers.raw
            if len(field[0]) <= _MAX_CACHED_NAME and _is_common(field[0]) and field[0] not in named
        ]
        if not (self.names or self.prefixes):  # as nearly everywhere
            return common
        added = {name for name in headers.names() if self._is_added(name) and name not in named}
        kept = added.union(name for name, _ in common)
        return [field for field in headers.raw if field[0] in kept]

    def _is_added(self, name: bytes) -> bool:
        return (name in self.names or name.startswith(self.prefixes)) and not is_forbidden(name)
