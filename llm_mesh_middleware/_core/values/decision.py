"""What a policy has decided about a call, for whoever keeps records."""

from __future__ import annotations

import msgspec

__all__ = ["Decision"]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One item's decision.

    `policy` is namespace and name, `item` the name of the item, `kind` what it is: `tokens`,
    `requests`, `concurrency`, `guard`. `decision` is `allowed`, `refused`, `shadow_refused` (it
    would have been refused), or `unchecked` (the store was away). A guard has `denied`, `masked` or
    `logged` what it has found, an `entity`; in shadow it is `shadow_denied` and so on.
    """

    policy: str
    item: str
    kind: str
    decision: str
    entity: str = ""
