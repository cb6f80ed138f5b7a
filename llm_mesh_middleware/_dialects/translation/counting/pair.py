"""A client's request for a token count, and a provider of another dialect that counts."""

from __future__ import annotations

from msgspec.structs import replace

from ...._core.conversation.sides import CountingSide
from ...._core.conversation.writing import DialectOptions
from ...._core.dialect import ServedOperation, Transformer, UpstreamOptions
from ...._core.values.messages import ClientRequest
from .sides import CountingProvider

__all__ = ["CountTranslation"]


class CountTranslation:
    """A client's request for a count and a provider's API, ready for each attempt."""

    def __init__(
        self,
        client: CountingSide,
        provider: CountingProvider,
        operation: ServedOperation,
        options: DialectOptions,
    ) -> None:
        """`operation` is the operation of the provider."""
        self.client = client
        self.provider = provider
        self.operation = operation
        self.options = replace(options, rejects_unsupported=False)

    def __call__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        # Imported by the first count that is translated: most meshes translate none.
        from .transformer import CountingTransformer

        return CountingTransformer(self, request, operation, upstream)
