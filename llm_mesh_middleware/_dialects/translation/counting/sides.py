"""Requests for a count of tokens, by a client and to a provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...._core.conversation.fault import ErrorBody, ProviderFault
from ...._core.conversation.request import Conversation
from ...._core.conversation.sides import ProviderSide
from ...._core.values.messages import ClientRequest
from .estimate import estimate_tokens

__all__ = ["CountingClient", "CountingProvider"]


class CountingClient(msgspec.Struct, frozen=True):
    """A question for a count as clients ask it; the reply has the count as its `member`."""

    read: Callable[[ClientRequest], Conversation]
    write_fault: Callable[[ProviderFault], ErrorBody]
    member: str

    def write(self, tokens: int) -> bytes:
        """Return the reply."""
        return msgspec.json.encode({self.member: tokens})

    def estimate(self, request: ClientRequest) -> tuple[bytes, bytes]:
        """Return the reply where no provider counts, and the name of what it estimates.

        Raises:
            MalformedRequest: The request is none of this dialect.
            UnsupportedField: It has something that could not be sent to the provider either.
        """
        return self.write(estimate_tokens(self.read(request))), self.member.encode()


class CountingProvider(msgspec.Struct, frozen=True):
    """An API that counts.

    Attributes:
        side: the dialect whose requests it counts.
        write: makes its body of the members of such a request, and of the model.
        member: where its response has the count.
    """

    side: ProviderSide
    write: Callable[[dict[str, Any], str | None], dict[str, Any]]
    member: str
