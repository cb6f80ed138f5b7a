"""The endpoints of a provider: where it can be reached now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..values.endpoint import Endpoint

__all__ = ["EndpointSet", "StaticEndpoints"]


class EndpointSet(Protocol):
    """Endpoints that may come and go."""

    def now(self) -> Sequence[Endpoint]:
        """Return those that calls may be made to."""


class StaticEndpoints(msgspec.Struct, frozen=True):
    """Endpoints that stay the same as long as the configuration does."""

    endpoints: tuple[Endpoint, ...]

    def now(self) -> Sequence[Endpoint]:
        """Return all of them."""
        return self.endpoints
