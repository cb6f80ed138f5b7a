"""Removes foreign proofs from requests to a provider of the same dialect."""

from __future__ import annotations

from ..._core.values.payload import Fields
from ..translation.proofs import edit_items, is_foreign

__all__ = ["without_foreign_proofs"]


def without_foreign_proofs(fields: Fields) -> Fields:
    """Return a request without reasoning from other providers."""
    return edit_items(fields, "input", _item)


def _item(item: Fields) -> Fields | None:
    return None if is_foreign(item, "encrypted_content") else item
