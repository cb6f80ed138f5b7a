"""Header fields: a multi-map over the raw list, and what may cross the mesh in either direction.

Names are lower-case bytes, as ASGI and HTTP/2 have them; order and duplicates are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "HOP_BY_HOP",
    "NEVER_FORWARDED",
    "ForwardPolicy",
    "Headers",
    "RawHeaders",
    "is_forbidden",
]

RawHeaders = Sequence[tuple[bytes, bytes]]

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
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    )
)
_NEVER_PREFIXES = (b"proxy-", b"x-forwarded-")

_ALLOWED = frozenset(
    (
        b"content-type",
        b"idempotency-key",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"x-request-id",
    )
)
_ALLOWED_PREFIXES = (
    b"accept",
    b"anthropic-",
    b"openai-",
    b"x-dashscope-",
    b"x-stainless-",
)

# An answer's fields that are about the provider's connection or origin, not about the answer. A
# cookie, HSTS or Alt-Svc of the provider would bind the client to rules of a host it never spoke
# to.
_NOT_DOWNSTREAM = HOP_BY_HOP | frozenset(
    (
        b"alt-svc",
        b"date",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
    )
)

# What the mesh says of an answer itself; a provider that is a mesh too has said it of its own part.
_OWN_PREFIX = b"x-llm-mesh-"


_NO_NAMES: frozenset[bytes] = frozenset()
_MAX_CACHED_VALUE = 64


def _split(value: bytes) -> frozenset[bytes]:
    return frozenset(name.strip().lower() for name in value.split(b","))


# The value is one of a few, for all but odd clients; those cannot make the cache large.
_options = lru_cache(maxsize=64)(_split)


def is_forbidden(name: bytes) -> bool:
    """Whether the field may never go upstream, whatever the settings say."""
    return name in NEVER_FORWARDED or name.startswith(_NEVER_PREFIXES)


class Headers:
    """Read access to a raw header list; field names are lower-case `str`."""

    __slots__ = ("_has_duplicates", "_last", "raw")

    def __init__(self, raw: RawHeaders = ()) -> None:
        self.raw = raw
        self._last = dict(raw)  # every request looks up a dozen names
        self._has_duplicates = len(self._last) < len(raw)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.raw)

    def __repr__(self) -> str:
        # Values may be credentials: a repr that ends in a log shows names only.
        return f"Headers({[name.decode('latin-1') for name, _ in self.raw]})"

    def names(self) -> KeysView[bytes]:
        """The names of the fields."""
        return self._last.keys()

    def get_all(self, name: bytes) -> Sequence[bytes]:
        """Every value of the field, in order."""
        if name not in self._last:
            return ()
        if self._has_duplicates:
            return [value for field, value in self.raw if field == name]
        return (self._last[name],)

    def get(self, name: str) -> str | None:
        """The field's values, trimmed and joined by `, ` (RFC 9110 5.2); None if absent."""
        key = name.encode("latin-1")
        last = self._last.get(key)
        if last is None:
            return None
        if not self._has_duplicates:
            return last.decode("latin-1").strip(" \t")
        return ", ".join(value.decode("latin-1").strip(" \t") for value in self.get_all(key))

    def connection_options(self) -> frozenset[bytes]:
        """The field names that `Connection` declares to be of this hop only."""
        if b"connection" not in self._last:
            return _NO_NAMES
        value = b",".join(self.get_all(b"connection"))
        return _options(value) if len(value) <= _MAX_CACHED_VALUE else _split(value)

    def downstream(self) -> list[tuple[bytes, bytes]]:
        """The fields of an answer that may go to the client."""
        named = self.connection_options()
        return [
            (name, value)
            for name, value in self.raw
            if name not in _NOT_DOWNSTREAM
            and name not in named
            and not name.startswith(_OWN_PREFIX)
        ]


@dataclass(frozen=True, slots=True)
class ForwardPolicy:
    """Which request fields go upstream: the built-in allow-list and what the owner adds."""

    names: frozenset[bytes] = _ALLOWED
    prefixes: tuple[bytes, ...] = _ALLOWED_PREFIXES

    @classmethod
    def extended(cls, patterns: Iterable[str]) -> ForwardPolicy:
        """The built-in list and `patterns`: names, or prefixes written `name-*`, in lower case."""
        names, prefixes = set(_ALLOWED), list(_ALLOWED_PREFIXES)
        for pattern in patterns:
            if pattern.endswith("*"):
                prefixes.append(pattern[:-1].encode("latin-1"))
            else:
                names.add(pattern.encode("latin-1"))
        return cls(frozenset(names), tuple(prefixes))

    def select(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The client's fields that may go upstream, in their order."""
        named = headers.connection_options()
        return [
            (name, value)
            for name, value in headers.raw
            if name not in NEVER_FORWARDED
            and (name in self.names or name.startswith(self.prefixes))
            and not name.startswith(_NEVER_PREFIXES)
            and name not in named
        ]
