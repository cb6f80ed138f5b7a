"""Proofs of reasoning: sealed for clients, opened again, and sent only to who can verify them."""

from __future__ import annotations

from .envelopes import (
    ANTHROPIC,
    BEDROCK,
    DETAIL,
    EXTRA,
    GEMINI,
    MARK,
    RESPONSES,
    attach_proofs,
    is_sealed,
    open_proof,
    own_proof,
    seal,
)
from .memory import ProofMemory, RememberingReader
from .passing import edit_items, is_foreign, without

__all__ = [
    "ANTHROPIC",
    "BEDROCK",
    "DETAIL",
    "EXTRA",
    "GEMINI",
    "MARK",
    "RESPONSES",
    "ProofMemory",
    "RememberingReader",
    "attach_proofs",
    "edit_items",
    "is_foreign",
    "is_sealed",
    "open_proof",
    "own_proof",
    "seal",
    "without",
]
