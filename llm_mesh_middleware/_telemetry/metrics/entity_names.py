"""The names of entities that a metric may carry: webhooks and moderation endpoints make them up."""

from __future__ import annotations

__all__ = ["EntityNames"]

_OTHER = "_other"
_MAX_NAMES = 50
_MAX_TEXT = 40


class EntityNames:
    """The first 50 names of each guard, of 40 printable characters; the others are one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], set[str]] = {}

    def label(self, policy: str, guard: str, entity: str) -> str:
        """Return the label for what a guard has found."""
        known = self._known.setdefault((policy, guard), set())
        if entity in known:
            return entity
        is_name = len(entity) <= _MAX_TEXT and entity.isascii() and entity.isprintable()
        if not is_name or len(known) >= _MAX_NAMES:
            return _OTHER
        known.add(entity)
        return entity
