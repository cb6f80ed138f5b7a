"""Fields that hold keys, or may hold one in the wrong place: problems never show their values."""

from __future__ import annotations

from itertools import pairwise, takewhile

from .._schema.wording import Path
from ..config import ProviderConfig

__all__ = ["is_private", "without_key"]

# Pairs of a field and one below it whose value is never shown, whatever is wrong with it.
_DIALECTS = [str(field.alias) for field in ProviderConfig.model_fields.values()]
_HOLDERS = {
    **dict.fromkeys(_DIALECTS, ("apiKey",)),
    "credentials": ("accessKeyId", "secretAccessKey", "sessionToken"),
    "vertex": ("accessToken",),
}
_KEYS = {
    (holder, key + end) for holder, keys in _HOLDERS.items() for key in keys for end in ("", "From")
}
_SECRETS = {*_KEYS, *((name, "headers") for name in _DIALECTS), ("tls", "clientKeyFile")}
_BELOW_KEYS = frozenset(("env", "file", "secretKeyRef", "name", "key"))


def is_private(path: Path) -> bool:
    """Return whether the value at a path is never shown."""
    return any(pair in _SECRETS for pair in pairwise(path))


def without_key(path: Path) -> Path:
    """Return the path without a part that may be a key, pasted one level too deep."""
    for index, pair in enumerate(pairwise(path), start=2):
        if pair in _KEYS:
            return path[:index] + tuple(takewhile(_BELOW_KEYS.__contains__, path[index:]))
    return path
