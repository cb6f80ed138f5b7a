"""Header fields: a multi-map over the raw list.

Names are lower-case bytes, as ASGI and HTTP/2 have them; order and duplicates are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Sequence
from functools import lru_cache

__all__ = ["Headers", "RawHeaders"]

RawHeaders = Sequence[tuple[bytes, bytes]]

_NO_NAMES: frozenset[bytes] = frozenset()
# The usual values of `Connection`, which name no field.
_PERSISTENCE = frozenset((b"keep-alive", b"Keep-Alive", b"close"))
_MAX_CACHED_VALUE = 64


def _split(value: bytes) -> frozenset[bytes]:
    return frozenset(name.strip().lower() for name in value.split(b","))


# Ordinary clients send one of a few values; the cache is limited for all others.
_options = lru_cache(maxsize=64)(_split)


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

    def __contains__(self, name: str) -> bool:
        return name.encode("latin-1") in self._last

    def names(self) -> KeysView[bytes]:
        """Return the names of the fields."""
        return self._last.keys()

    def get_all(self, name: bytes) -> Sequence[bytes]:
        """Return every value of the field, in order."""
        if name not in self._last:
            return ()
        if self._has_duplicates:
            return [value for field, value in self.raw if field == name]
        return (self._last[name],)

    def last(self, name: bytes) -> bytes | None:
        """Return the last value of the field, None if there is none."""
        return self._last.get(name)

    def one(self, name: bytes) -> bytes | None:
        """Return the only value of the field; None if there is none, or several."""
        if self._has_duplicates and len(self.get_all(name)) > 1:
            return None
        return self._last.get(name)

    def get(self, name: str) -> str | None:
        """Return the values, trimmed and joined by `, ` (RFC 9110 5.2); None if absent."""
        key = name.encode("latin-1")
        last = self._last.get(key)
        if last is None:
            return None
        if not self._has_duplicates:
            return last.decode("latin-1").strip(" \t")
        return ", ".join(value.decode("latin-1").strip(" \t") for value in self.get_all(key))

    def connection_options(self) -> frozenset[bytes]:
        """Return the field names that `Connection` limits to this hop.

        `keep-alive` alone is left out: a field of that name is never passed on anyway.
        """
        last = self._last.get(b"connection")
        if last is None or (last in _PERSISTENCE and not self._has_duplicates):
            return _NO_NAMES
        value = b",".join(self.get_all(b"connection"))
        return _options(value) if len(value) <= _MAX_CACHED_VALUE else _split(value)
