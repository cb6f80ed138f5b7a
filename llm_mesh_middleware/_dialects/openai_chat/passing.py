"""Removes foreign proofs from requests to a provider of the same dialect."""

from __future__ import annotations

from ..._core.values.payload import Fields, read_fields
from ..translation.proofs import edit_items, is_foreign, without

__all__ = ["without_foreign_proofs"]


def without_foreign_proofs(fields: Fields) -> Fields:
    """Return a request without reasoning and signatures from other providers."""
    return edit_items(fields, "messages", _message)


def _message(message: Fields) -> Fields:
    kept = edit_items(message, "thinking_blocks", _block)
    if bytes(kept.get("thinking_blocks", b"")) == b"[]":
        kept = without(kept, "thinking_blocks")
    return edit_items(kept, "tool_calls", _call)


def _block(block: Fields) -> Fields | None:
    return None if is_foreign(block, "signature", "data") else block


def _call(call: Fields) -> Fields:
    google = read_fields(read_fields(call, "extra_content"), "google")
    return without(call, "extra_content") if is_foreign(google, "thought_signature") else call
