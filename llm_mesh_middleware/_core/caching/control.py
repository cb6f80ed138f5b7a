"""The client's cache directives in `Cache-Control` (RFC 9111 5.2.1).

They can only restrict the cache: no directive reaches another scope, or an entry older than its
policy allows.
"""

from __future__ import annotations

import msgspec

__all__ = ["Control", "read_control"]


class Control(msgspec.Struct, frozen=True):
    """`max_age_s` is the greatest acceptable age of an entry."""

    may_read: bool = True
    may_store: bool = True
    max_age_s: float | None = None
    is_only_cached: bool = False

    def accepts(self, age_s: float) -> bool:
        """Return whether an entry of this age is acceptable."""
        return self.max_age_s is None or age_s <= self.max_age_s


_NONE = Control()


def read_control(value: str | None) -> Control:
    """Return the directives of the field; unknown ones are ignored."""
    if not value:
        return _NONE
    found: dict[str, str] = {}
    for directive in value.split(","):
        name, _, argument = directive.strip().partition("=")
        found.setdefault(name.strip().lower(), argument.strip().strip('"'))
    max_age = found.get("max-age", "")
    return Control(
        may_read="no-cache" not in found and "no-store" not in found,
        may_store="no-store" not in found,
        max_age_s=float(max_age) if max_age.isascii() and max_age.isdigit() else None,
        is_only_cached="only-if-cached" in found,
    )
