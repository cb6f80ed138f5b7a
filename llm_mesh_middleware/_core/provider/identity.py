"""The identity of a provider, which survives a reload."""

from __future__ import annotations

from typing import ClassVar

from ..private import Discreet

__all__ = ["ProviderIdentity"]


class ProviderIdentity(Discreet, frozen=True):
    """The properties by which a provider is recognised after a reload.

    `fingerprint` changes with the provider's document, but not with its key.
    """

    shown: ClassVar[tuple[str, ...]] = ("namespace", "name", "host")

    namespace: str
    name: str
    host: str
    fingerprint: str

    @property
    def document(self) -> str:
        """The name of the provider's document, which does not depend on its content."""
        return f"{self.namespace}/{self.name}"
