"""Header fields: a multi-map over the raw list.

Names are lower-case bytes, as ASGI and HTTP/2 have them; order and duplicates are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, compress
from operator import itemgetter

__all__ = ["Headers", "RawHeaders"]

RawHeaders = Sequence[tuple[bytes, bytes]]

_NO_NAMES: frozenset[bytes] = frozenset()
# The usual values of `Connection`, which name no field.
_PERSISTENCE = frozenset((b"keep-alive", b"Keep-Alive", b"close"))
_MAX_CACHED_VALUE = 64
_NAME = itemgetter(0)


def _split(value: bytes) -> frozenset[bytes]:
    return frozenset(name.strip().lower() for name in value.split(b","))


# Ordinary clients send one of a few values; the cache is limited for all others.
_options = lru_cache(maxsize=64)(_split)


class Headers:
    """Read access to a raw header list; field names are lower-case `str`.

    `by_name` has the last value of each field. A call looks a dozen names up there, without a call;
    that is the only value unless the list `has_duplicates`.
    """

    __slots__ = ("by_name", "has_duplicates", "raw")

    by_name: Mapping[bytes, bytes]

    def __init__(self, raw: RawHeaders = ()) -> None:
        self.raw = raw
        self.by_name = by_name = dict(raw)
        self.has_duplicates = len(by_name) < len(raw)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.raw)

    def __repr__(self) -> str:
        # Values may be credentials: a repr that ends in a log shows names only.
        return f"Headers({[name.decode('latin-1') for name, _ in self.raw]})"

    def __contains__(self, name: str) -> bool:
        return name.encode("latin-1") in self.by_name

    def get_all(self, name: bytes) -> Sequence[bytes]:
        """Return every value of the field, in order."""
        if name not in self.by_name:
            return ()
        if self.has_duplicates:
            return [value for field, value in self.raw if field == name]
        return (self.by_name[name],)

    def named(self, is_wanted: Callable[[bytes], object]) -> list[tuple[bytes, bytes]]:
        """Return the fields with a wanted name, in order."""
        names = map(_NAME, self.raw) if self.has_duplicates else self.by_name
        return [*compress(self.raw, map(is_wanted, names))]

    def joined(self) -> bytes:
        """Return all names and values in one, to be searched."""
        if self.has_duplicates:
            return b"\n".join(chain.from_iterable(self.raw))
        return b"\n".join([*self.by_name, *self.by_name.values()])

    def one(self, name: bytes) -> bytes | None:
        """Return the only value of the field; None if there is none, or several."""
        if self.has_duplicates and len(self.get_all(name)) > 1:
            return None
        return self.by_name.get(name)

    def get(self, name: str) -> str | None:
        """Return the values, trimmed and joined by `, ` (RFC 9110 5.2); None if absent."""
        key = name.encode("latin-1")
        last = self.by_name.get(key)
        if last is None:
            return None
        if not self.has_duplicates:
            return last.decode("latin-1").strip(" \t")
        return ", ".join(value.decode("latin-1").strip(" \t") for value in self.get_all(key))

    def connection_options(self) -> frozenset[bytes]:
        """Return the field names that `Connection` limits to this hop.

        `keep-alive` alone is left out: a field of that name is never passed on anyway.
        """
        last = self.by_name.get(b"connection")
        if last is None or (last in _PERSISTENCE and not self.has_duplicates):
            return _NO_NAMES
        value = b",".join(self.get_all(b"connection"))
        return _options(value) if len(value) <= _MAX_CACHED_VALUE else _split(value)
