"""The resolved thing that the mesh calls: one provider as one rule uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ..values.endpoint import Endpoint
from ..values.operations import Operation
from ..values.outlier_detection import OutlierDetection
from ..values.provider_identity import ProviderIdentity

__all__ = ["Upstream"]

_BEARER = b"authorization"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider with its configuration for one rule resolved.

    `targets` maps each operation the provider can serve to a request target. `headers` are set on
    every call, Host and key among them. `model` and `stream` replace what the client sent,
    `defaults` (encoded JSON) fill what it left out. `asks_usage` allows asking for token counts in
    streams. `secrets` are the values that must never be shown. `detection` and `max_concurrency`
    are the provider's, whichever rule it serves.
    """

    identity: ProviderIdentity
    endpoint: Endpoint
    targets: Mapping[Operation, str]
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    model: str | None = None
    model_mapping: Mapping[str, str] = field(default_factory=dict)
    stream: bool | None = None
    asks_usage: bool = True
    defaults: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    detection: OutlierDetection = OutlierDetection()
    max_concurrency: int | None = None

    @property
    def provider(self) -> str:
        """The name of the provider's document."""
        return self.identity.name

    @property
    def host(self) -> str:
        """The provider host, as manifests name it."""
        return self.endpoint.provider_host

    def fields_for(self, operation: Operation) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields, with the key in the one that the operation's dialect has for it.

        Where the configuration sets that field itself, the key stays a Bearer token.
        """
        name = operation.dialect.key_field
        if name == _BEARER or any(field[0] == name for field in self.headers):
            return self.headers
        return tuple(
            (name, field[1].removeprefix(b"Bearer ")) if field[0] == _BEARER else field
            for field in self.headers
        )

    def redact(self, data: bytes) -> bytes:
        """`data` without the secrets that a provider may have repeated in it."""
        for secret in self.secrets:
            data = data.replace(secret, b"***")
        return data
