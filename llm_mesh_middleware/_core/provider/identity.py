"""The identity of a provider, which is the same after a reload."""

from __future__ import annotations

from typing import ClassVar

from ..private import Discreet

__all__ = ["ProviderIdentity"]


class ProviderIdentity(Discreet, frozen=True):
    """What makes a provider the same one after a reload: its name, and what it is called with.

    `fingerprint` changes with the provider's document, but not with its key.
    """

    shown: ClassVar[tuple[str, ...]] = ("namespace", "name", "host")

    namespace: str
    name: str
    host: str
    fingerprint: str

    @property
    def document(self) -> str:
        """The provider's document, whatever has changed in it."""
        return f"{self.namespace}/{self.name}"
