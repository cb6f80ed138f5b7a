"""The current endpoints of a provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..values.endpoint import Endpoint

__all__ = ["EndpointSet", "StaticEndpoints"]


class EndpointSet(Protocol):
    """Endpoints that may change."""

    def now(self) -> Sequence[Endpoint]:
        """Return the current endpoints."""


class StaticEndpoints(msgspec.Struct, frozen=True):
    """Endpoints that are fixed by the configuration."""

    endpoints: tuple[Endpoint, ...]

    def now(self) -> Sequence[Endpoint]:
        """Return all of them."""
        return self.endpoints
