"""Redaction for `explain`: by position, and in addition by search.

Positions of secrets (a configured header, a query, a header named `x-api-key`) are always masked.
Elsewhere long secrets are searched for, such as a client key pasted into a path. A short secret is
an ordinary word: the key `ollama` of a local server must not mask its host.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from ..routing.table import RoutingTable

__all__ = ["MASK", "Mask", "is_credential", "known_secrets"]

MASK = "***"

_MAX_SHOWN = 60
_SHORTEST_SEARCHED = 16
# A header or attribute with any of these in its name may be a credential.
_CREDENTIAL_WORDS = ("auth", "cookie", "credential", "key", "passw", "secret", "session", "token")


def is_credential(name: str) -> bool:
    """Return whether a header or attribute of this name may be a credential."""
    return any(word in name.lower() for word in _CREDENTIAL_WORDS)


def known_secrets(table: RoutingTable) -> frozenset[str]:
    """Return every key and secret header value of a configuration."""
    return frozenset(
        secret.decode("latin-1")
        for host in table.hosts
        for rule in host.rules
        for upstream in rule.upstreams
        for secret in upstream.secrets
    )


class Mask:
    """Replaces secrets by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(secrets)
        # One secret may be a piece of another.
        long = (secret for secret in self._secrets if len(secret) >= _SHORTEST_SEARCHED)
        self._searched = sorted(long, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return `text` without long secrets."""
        for secret in self._searched:
            text = text.replace(secret, MASK)
        return text

    def value(self, name: str, value: str) -> str:
        """Return the value of a header or attribute, masked unless it may be shown."""
        return MASK if is_credential(name) or value.strip() in self._secrets else self.text(value)

    def quoted(self, name: str, value: str) -> str:
        """Return the value of a header or attribute for a sentence: short and in quotes."""
        shown = self.value(name, value)
        if shown == MASK:
            return MASK
        return repr(shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…")

    def all(self, value: Any) -> Any:
        """Return a value of tuples and structs with its texts masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, tuple):
            return tuple(map(self.all, value))
        if isinstance(value, msgspec.Struct):
            return replace(value, **{name: self.all(each) for name, each in asdict(value).items()})
        return value
