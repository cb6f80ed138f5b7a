"""What is not shown of a request and of the configuration when somebody asks how both fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from ..routing.table import RoutingTable

__all__ = ["MASK", "Mask", "is_credential", "known_secrets"]

MASK = "***"

_MAX_SHOWN = 60
# A header or attribute with any of these in its name may hold what opens a door.
_CREDENTIAL_WORDS = ("auth", "cookie", "credential", "key", "passw", "secret", "session", "token")


def is_credential(name: str) -> bool:
    """Whether a header or attribute of this name is better not shown."""
    return any(word in name.lower() for word in _CREDENTIAL_WORDS)


def known_secrets(table: RoutingTable) -> frozenset[str]:
    """Every key and secret header value of a configuration."""
    return frozenset(
        secret.decode("latin-1")
        for host in table.hosts
        for rule in host.rules
        for backend in rule.backends
        for secret in backend.upstream.secrets
    )


class Mask:
    """Puts `***` in the place of secrets, wherever they turn up."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # One secret may be a piece of another.
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def quoted(self, name: str, value: str) -> str:
        """The value of a header or attribute for a sentence: short, in quotes, or not at all."""
        if is_credential(name):
            return MASK
        clean = self.text(value)
        return repr(clean if len(clean) <= _MAX_SHOWN else f"{clean[:_MAX_SHOWN]}…")

    def all(self, value: Any) -> Any:
        """A value of tuples and frozen dataclasses, its text without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, tuple):
            return tuple(map(self.all, value))
        if is_dataclass(value) and not isinstance(value, type):
            changed = {one.name: self.all(getattr(value, one.name)) for one in fields(value)}
            return replace(value, **changed)
        return value
