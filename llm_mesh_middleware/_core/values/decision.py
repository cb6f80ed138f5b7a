"""The decision of a policy about a call, for records and for `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import msgspec

from .messages import ClientRequest

__all__ = ["Changes", "Decision", "Explains", "ItemExplanation"]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One item's decision.

    `policy` is namespace and name, `item` the name of the item, `kind` what it is: `tokens`,
    `requests`, `concurrency`, `budget`, `guard`, `cache`, `semantic`. `decision` is `allowed`,
    `refused`, `shadow_refused` (it would have been refused), or `unchecked` (the store was
    away). A budget that is used up may have `exceeded` or `fallback` instead, and is `warned`
    of once for each threshold that it passes. A guard has `denied`, `masked` or `logged` what
    it has found, an `entity`; in shadow it is `shadow_denied` and so on. One that asks is
    `unchecked` if it got no verdict; then `entity` is the cause, such as `timeout` or
    `status_500`.

    Of a limit or budget, `by` are the request's values of what it counts by, `of` is the most
    that there may be (tokens, requests, slots, nano-units of `currency`) and `left` what is
    left of it, if that is known. A cache has `hit` or `stale`, with the tokens that were saved
    in `of`, or `miss`; before these it `waits` for an equal call. If it looks for alike
    requests, a decision of kind `semantic` comes before these: `hit`, `shadow_hit` (a miss all
    the same) or `miss`, or `unchecked` if there was no vector; `entity` is the similarity or
    the cause, `of` the tokens that the vector took. After a `shadow_hit`, `shadow_same` and
    `shadow_differs` say what it would have been worth.
    """

    policy: str
    item: str
    kind: str
    decision: str
    entity: str = ""
    by: tuple[str | None, ...] = ()
    of: int = 0
    left: int | None = None
    currency: str = ""


class ItemExplanation(msgspec.Struct, frozen=True):
    """One item of a policy: `text` says what it would do, or why it does not apply.

    `policy` is namespace and name. `provider` is set for an item of attempts, empty for one of the
    call.
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

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield for each item whether it applies to a request, and why.

        Args:
            request: the request, understood.
            provider: the one that an attempt would be at; empty for what is around all attempts.
            now: the time of the day, in seconds since the epoch.
        """


@runtime_checkable
class Changes(Protocol):
    """A policy that can say what it makes of a request without asking anybody."""

    def changed(self, request: ClientRequest) -> ClientRequest:
        """Return the request as the layers within see it."""
