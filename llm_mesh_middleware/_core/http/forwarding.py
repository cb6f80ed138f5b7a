"""The header fields of a client's request that are forwarded upstream.

An allow-list: unlisted fields are dropped. Fields of the client's connection, its credentials and
its identity are never forwarded, whatever the settings say. Fields that choose the paying account
are forwarded only if the settings name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec

from ..values.headers import Headers
from .known_names import KnownNames

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

# Fields of the client's own hop, and fields that identify the client.
NEVER_FORWARDED = HOP_BY_HOP | frozenset(
    (
        b"accept-encoding",  # the mesh requests what it can decode
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
        b"x-llm-mesh-hops",  # each mesh writes its own
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
# A field of a known family with one of these in its name chooses the paying account
# (`openai-organization`, `openai-project`, `x-dashscope-workspace`) or is a credential: opt-in.
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


def is_forbidden(name: bytes) -> bool:
    """Return whether the field is never forwarded, whatever the settings say."""
    return name in NEVER_FORWARDED or name.startswith(_NEVER_PREFIXES)


def _is_common(name: bytes) -> bool:
    if name in _COMMON:
        return True
    if is_forbidden(name) or not name.startswith(_COMMON_FAMILIES):
        return False
    return not any(word in name for word in _ACCOUNT_WORDS)


_NOTHING: frozenset[bytes] = frozenset()


@lru_cache(maxsize=32)  # few providers have other fields than their neighbours
def _is_common_but(own: frozenset[bytes]) -> Callable[[bytes], bool]:
    return KnownNames[bytes](lambda name: name not in own and _is_common(name)).__getitem__


class ForwardPolicy(msgspec.Struct, frozen=True):
    """The forwarded fields: a built-in list, plus `names` and `prefixes` of the settings.

    The settings override everything but `is_forbidden`.
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

    def select(
        self, headers: Headers, own: frozenset[bytes] = _NOTHING
    ) -> list[tuple[bytes, bytes]]:
        """Return the client's fields that are forwarded, in their order.

        Args:
            headers: the client's.
            own: names that the provider's configuration sets, and the client must not.
        """
        named = headers.connection_options() if b"connection" in headers.by_name else _NOTHING
        common = headers.named(_is_common_but(own))
        if named:
            common = [field for field in common if field[0] not in named]
        if not (self.names or self.prefixes):  # the common case
            return common
        added = filter(self._is_added, headers.by_name.keys() - own - named)
        kept = {name for name, _ in common}.union(added)
        return [field for field in headers.raw if field[0] in kept]

    def _is_added(self, name: bytes) -> bool:
        return (name in self.names or name.startswith(self.prefixes)) and not is_forbidden(name)
