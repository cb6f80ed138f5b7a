"""Credentials of providers: a key, a token, or an identity that signs requests."""

from __future__ import annotations

from ..._schema.dialects import DialectConfig
from ..keys import KeyReader
from .admission import Admission

__all__ = ["Admission", "admit"]

_Path = tuple[str | int, ...]
# The fields of configurations that name an identity in place of a key.
_IDENTITIES = ("credentials", "credentials_from", "vertex", "entra")


def admit(config: DialectConfig, path: _Path, keys: KeyReader, owner: str) -> Admission | None:
    """Return the admission that a configuration gives, or None if it has none that can be used.

    Args:
        config: the configuration as written.
        path: its place in the document.
        keys: reads keys, and collects problems with them.
        owner: the provider's name, for errors.
    """
    if any(getattr(config, field, None) is not None for field in _IDENTITIES):
        from .identities import admit_identity  # twelve modules, for providers in clouds

        admission = admit_identity(config, path, keys, owner)
        if admission is not None:
            return admission
    key = keys.read(config, "api_key", path)
    return None if key is None else Admission(key, secrets=(key,))
