"""Removes foreign proofs from requests to a provider of the same dialect."""

from __future__ import annotations

from ..._core.values.payload import Fields
from ..translation.proofs import edit_items, is_foreign

__all__ = ["without_foreign_proofs"]


def without_foreign_proofs(fields: Fields) -> Fields:
    """Return a request without blocks of reasoning that have another provider's proof."""
    return edit_items(fields, "messages", _message)


def _message(message: Fields) -> Fields | None:
    kept = edit_items(message, "content", _block)
    return None if bytes(kept.get("content", b"")) == b"[]" else kept


def _block(block: Fields) -> Fields | None:
    return None if is_foreign(block, "signature", "data") else block
