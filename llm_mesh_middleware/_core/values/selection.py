"""The rule that takes a request, as observers see it."""

from __future__ import annotations

import msgspec

__all__ = ["Selection"]


class Selection(msgspec.Struct, frozen=True, gc=False):
    """What routing decided for one request: the names of the route and of its rule.

    `lacks_sticky_key`: the rule keeps requests of the same key together, and this one has no key.
    """

    route: str
    rule: str
    lacks_sticky_key: bool = False
