"""The rule selected for a request, as observers see it."""

from __future__ import annotations

import msgspec

__all__ = ["Selection"]


class Selection(msgspec.Struct, frozen=True, gc=False):
    """The routing decision for one request: the names of the route and of its rule.

    `lacks_sticky_key`: the rule is sticky, and this request has no key.
    """

    route: str
    rule: str
    lacks_sticky_key: bool = False
