"""Removes foreign proofs from requests to a provider of the same dialect."""

from __future__ import annotations

from ..._core.values.payload import Fields, raw, read_bool, read_text
from ..translation.proofs import GEMINI, edit_items, without
from .signatures import MARK, STAND_IN, open_signature

__all__ = ["without_foreign_proofs"]

_SPELLINGS = ("thoughtSignature", "thought_signature")
_CALLS = ("functionCall", "function_call")


def without_foreign_proofs(fields: Fields) -> Fields:
    """Return a request without thoughts and signatures from other providers."""
    return edit_items(fields, "contents", _content, mark=MARK)


def _content(content: Fields) -> Fields | None:
    kept = edit_items(content, "parts", _part, mark=MARK)
    return None if bytes(kept.get("parts", b"")) == b"[]" else kept


def _part(part: Fields) -> Fields | None:
    """Return a part; calls keep a signature, as the API requires one on the first of a step."""
    for name in _SPELLINGS:
        proof, _ = open_signature(read_text(part, name))
        if name not in part or (proof is not None and proof.dialect == GEMINI):
            continue
        if any(call in part for call in _CALLS):
            return part | {name: raw(STAND_IN)}
        return None if read_bool(part, "thought") else without(part, name)
    return part
