"""Items that pass to a provider of the same dialect, without what only the mesh can read."""

from __future__ import annotations

from ..._core.values.payload import Fields
from ..translation.proofs import edit_items, is_foreign

__all__ = ["without_foreign_proofs"]


def without_foreign_proofs(fields: Fields) -> Fields:
    """Return a request without reasoning that another provider has proved."""
    return edit_items(fields, "input", _item)


def _item(item: Fields) -> Fields | None:
    return None if is_foreign(item, "encrypted_content") else item
