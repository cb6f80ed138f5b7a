"""The identity of a provider, which is the same after a reload."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ProviderIdentity"]


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """What makes a provider the same one after a reload: its name, and what it is called with.

    `fingerprint` changes with the provider's document, but not with its key.
    """

    namespace: str
    name: str
    host: str
    fingerprint: str = field(repr=False)

    @property
    def document(self) -> str:
        """The provider's document, whatever has changed in it."""
        return f"{self.namespace}/{self.name}"
