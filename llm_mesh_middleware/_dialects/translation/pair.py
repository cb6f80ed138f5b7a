"""A pair of dialects, and a provider's API that is only ever the second of one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..._core.conversation.sides import ClientSide, ProviderSide
from ..._core.conversation.writing import DialectOptions
from ..._core.dialect import ServedOperation, Transformer, UpstreamOptions
from ..._core.later import load
from ..._core.values.messages import ClientRequest
from .counting import CountingProvider
from .proofs import ProofMemory

__all__ = ["ForeignAPI", "Translation"]

Conversion = Callable[[ClientRequest, ServedOperation, UpstreamOptions], Transformer]


class Translation:
    """A pair of dialects; makes the conversion of each attempt."""

    def __init__(
        self,
        client: ClientSide,
        provider: ProviderSide,
        operation: ServedOperation,
        options: DialectOptions,
        *,
        envelope: Conversion | None = None,
        memory: ProofMemory | None = None,
    ) -> None:
        """Translate between two dialects.

        Args:
            client: The client's dialect.
            provider: The provider's dialect.
            operation: The operation of the provider.
            options: The configuration of requests to the provider.
            envelope: The conversion of the provider's own dialect, which sets its configured
                members. Without it the provider's side writes the whole request.
            memory: Stores proofs that the client may not send back.
        """
        self.client = client
        self.provider = provider
        self.operation = operation
        self.options = options
        self.envelope = envelope
        self.memory = memory

    def load(self) -> None:
        """Import what its requests need."""
        from . import transformer  # noqa: F401

        load(self.client, self.provider)

    def __call__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        # `load` has imported it: most meshes have no translation.
        from .transformer import TranslatingTransformer

        return TranslatingTransformer(self, request, operation, upstream)


class ForeignAPI(msgspec.Struct, frozen=True, kw_only=True):
    """How an API is reached that no client speaks: requests of every dialect are translated to it.

    Attributes:
        side: the dialect.
        vendor: its vendor in telemetry.
        path: the request target if the configuration has none, without `suffix`.
        suffix: what every request target ends with.
        key_field: the header field of the key.
        counter: counts tokens, if the vendor has an API for that.
        counted_at: what the request target of the counter ends with.
    """

    side: ProviderSide
    vendor: str
    path: str
    suffix: str = ""
    key_field: bytes = b"authorization"
    counter: CountingProvider | None = None
    counted_at: str = ""
