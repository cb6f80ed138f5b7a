"""A client's request for a token count, and a provider of another dialect that counts."""

from __future__ import annotations

from msgspec.structs import replace

from ...._core.conversation.sides import CountingSide
from ...._core.conversation.writing import DialectOptions
from ...._core.dialect import ServedOperation, Transformer, UpstreamOptions
from ...._core.later import load
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

    def load(self) -> None:
        """Import what its requests need."""
        from . import transformer  # noqa: F401

        load(self.client, self.provider)

    def __call__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        # `load` has imported it: most meshes translate no counts.
        from .transformer import CountingTransformer

        return CountingTransformer(self, request, operation, upstream)
