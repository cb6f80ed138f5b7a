"""A provider as one rule calls it, fully resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec
from msgspec.structs import force_setattr, replace

from ..dialect import ServedOperation, Transformer, UpstreamOptions
from ..http.forwarding import ForwardPolicy, is_forbidden
from ..pricing.prices import NO_PRICES, PriceList
from ..private import Discreet
from ..values.headers import Headers
from ..values.messages import ClientRequest
from .credential import Credential
from .endpoints import EndpointSet
from .identity import ProviderIdentity
from .outlier_detection import OutlierDetection
from .secrets import Secrets
from .servers.picker import EndpointPicker
from .servers.rewrites import ModelRewrites
from .servers.watch import ServerWatch

__all__ = ["Conversion", "Upstream", "call_headers"]

Conversion = Callable[[ClientRequest, ServedOperation, UpstreamOptions], Transformer]


class Upstream(Discreet, frozen=True):
    """A provider with its configuration for one rule resolved.

    `targets` maps each operation the provider can serve to a request target. `headers` are set on
    every call, Host among them; `credentials` add the key to the calls of each operation. `model`
    and `stream` replace what the client sent, `defaults` (encoded JSON) fill what it left out.
    `requests_usage` allows requesting usage in streams. `conversions` are for operations that the
    provider serves in another dialect. `secrets` are the values that must never be shown.
    `detection`, `max_concurrency`, `prices`, `watch` and `rewrites` are the provider's, for all
    rules. `vendor` is the vendor of the API, by its name in telemetry's conventions; empty if the
    host determines it. `picker` picks an endpoint for each call. `has_foreign_neighbours`: other
    providers of the virtual host serve clients by translation, so conversations may contain proofs
    that only those can verify. `own_names` are the names of `headers` that clients could send, too.
    """

    shown: ClassVar[tuple[str, ...]] = ("identity", "endpoints", "targets", "model", "stream")

    identity: ProviderIdentity
    endpoints: EndpointSet
    targets: Mapping[ServedOperation, str]
    headers: tuple[tuple[bytes, bytes], ...]
    model: str | None = None
    model_mapping: Mapping[str, str] = msgspec.field(default_factory=dict)
    stream: bool | None = None
    requests_usage: bool = True
    defaults: Mapping[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    credentials: Mapping[ServedOperation, Credential] = msgspec.field(default_factory=dict)
    conversions: Mapping[ServedOperation, Conversion] = msgspec.field(default_factory=dict)
    secrets: Secrets = Secrets()
    detection: OutlierDetection = OutlierDetection()
    max_concurrency: int | None = None
    prices: PriceList = NO_PRICES
    vendor: str = ""
    watch: ServerWatch | None = None
    rewrites: ModelRewrites | None = None
    picker: EndpointPicker | None = None
    has_foreign_neighbours: bool = False
    own_names: frozenset[bytes] = frozenset()

    def __post_init__(self) -> None:
        names = (name for name, _ in self.headers if not is_forbidden(name))
        force_setattr(self, "own_names", frozenset(names))

    @property
    def provider(self) -> str:
        """The name of the provider's document."""
        return self.identity.name

    @property
    def host(self) -> str:
        """The provider host, as manifests name it."""
        return self.identity.host

    def transformer(self, request: ClientRequest, operation: ServedOperation) -> Transformer:
        """Return the conversion for one attempt."""
        if self.has_foreign_neighbours:
            kept = operation.dialect.without_foreign_proofs(request.fields)
            request = request if kept is request.fields else replace(request, fields=kept)
        convert = self.conversions.get(operation) or operation.dialect.transformer
        return convert(request, operation, self)

    def rewritten(self, requested: str | None, random: Callable[[], float]) -> Upstream:
        """Return the provider with the model that is drawn for the requested one.

        A configured model overrides all rewrites.
        """
        if self.rewrites is None or self.model is not None:
            return self
        model = self.rewrites.draw(requested, random)
        return self if model is None else replace(self, model=model)

    def redact(self, data: bytes) -> bytes:
        """Return `data` without the secrets that a provider may have repeated in it."""
        return self.secrets.redact(data)


def call_headers(
    upstream: Upstream, headers: Headers, forward: ForwardPolicy
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header fields of a call without its key: the configured and the forwarded ones."""
    return (*upstream.headers, *forward.select(headers, upstream.own_names))
