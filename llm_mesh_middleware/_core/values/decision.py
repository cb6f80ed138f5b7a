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
    unavailable). An exhausted budget may be `exceeded` or `fallback` instead, and is `warned`
    once for each threshold that it passes. A guard has `denied`, `masked` or `logged` a
    finding, an `entity`; in shadow mode it is `shadow_denied` and so on. A remote guard is
    `unchecked` if it got no verdict; then `entity` is the cause, such as `timeout` or
    `status_500`.

    Of a limit or budget, `by` are the request's values of its `by`, `of` is the limit (tokens,
    requests, slots, nano-units of `currency`) and `left` the rest of it, if known. A cache has
    a `hit` or `stale` hit, with the saved tokens in `of`, or a `miss`; before these it `waits`
    for an equal call. If it searches for similar requests, a decision of kind `semantic` comes
    before these: `hit`, `shadow_hit` (served like a miss) or `miss`, or `unchecked` if there
    was no vector; `entity` is the similarity or the cause, `of` the tokens of the vector. After
    a `shadow_hit`, `shadow_same` and `shadow_differs` report whether it would have been right.
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
    """One item of a policy: `text` explains its decision, or why it does not apply.

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
    """A policy that can explain its decisions."""

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield for each item whether it applies to a request, and why.

        Args:
            request: the parsed request.
            provider: the provider of an attempt; empty for policies around all attempts.
            now: the time of day, in seconds since the epoch.
        """


@runtime_checkable
class Changes(Protocol):
    """A policy that changes requests, and can do so without I/O."""

    def changed(self, request: ClientRequest) -> ClientRequest:
        """Return the request that inner layers get."""
