"""What an item of a policy has to do with a request, for whoever asks without sending it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import msgspec

from .messages import ClientRequest

__all__ = ["Explains", "Told"]


class Told(msgspec.Struct, frozen=True):
    """One item: `policy` is namespace and name, `text` what it would do, or why it does nothing.

    `provider` is that of the attempts which the item is about; empty for one about the whole call.
    """

    policy: str
    item: str
    kind: str
    holds: bool
    text: str
    provider: str = ""


@runtime_checkable
class Explains(Protocol):
    """A policy that can say what it would do."""

    def explain(self, request: ClientRequest, provider: str, now: float) -> Iterator[Told]:
        """Yield what each item has to do with a request.

        Args:
            request: the request, understood.
            provider: the one that an attempt would be at; empty for what is around all attempts.
            now: the time of the day, in seconds since the epoch.
        """
