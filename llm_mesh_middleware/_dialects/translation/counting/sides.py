"""Requests for a token count, by a client and to a provider."""

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
    """A client's request for a count; the reply has the count as its `member`."""

    read: Callable[[ClientRequest], Conversation]
    write_fault: Callable[[ProviderFault], ErrorBody]
    member: str

    def write(self, tokens: int) -> bytes:
        """Return the reply."""
        return msgspec.json.encode({self.member: tokens})

    def estimate(self, request: ClientRequest) -> tuple[bytes, bytes]:
        """Return the reply if no provider can count, and the name of the estimated member.

        Raises:
            MalformedRequest: It is not a request of this dialect.
            UnsupportedField: It has a field that could not be sent to a provider either.
        """
        return self.write(estimate_tokens(self.read(request))), self.member.encode()


class CountingProvider(msgspec.Struct, frozen=True):
    """An API that counts.

    Attributes:
        side: the dialect whose requests it counts.
        write: makes its body from the members of such a request, and the model.
        member: the member of its response with the count.
    """

    side: ProviderSide
    write: Callable[[dict[str, Any], str | None], dict[str, Any]]
    member: str
