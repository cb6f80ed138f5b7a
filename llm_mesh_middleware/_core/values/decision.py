"""What a policy has decided about a call, for whoever keeps records."""

from __future__ import annotations

import msgspec

__all__ = ["Decision"]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One item's decision.

    `policy` is namespace and name, `item` the name of the item, `kind` what it is: `tokens`,
    `requests`, `concurrency`, `budget`, `guard`, `cache`. `decision` is `allowed`, `refused`,
    `shadow_refused` (it would have been refused), or `unchecked` (the store was away). A budget
    that is used up may have `exceeded` or `fallback` instead, and is `warned` of once for each
    threshold that it passes. A guard has `denied`, `masked` or `logged` what it has found, an
    `entity`; in shadow it is `shadow_denied` and so on.

    Of a limit or budget, `by` are the request's values of what it counts by, `of` is the most that
    there may be (tokens, requests, slots, nano-units of `currency`) and `left` what is left of it,
    if that is known.
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
