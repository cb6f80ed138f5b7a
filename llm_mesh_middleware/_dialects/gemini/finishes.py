"""The models' words for why they end; calls of functions end like texts do."""

from __future__ import annotations

from ..._core.conversation.answer import FinishReason

__all__ = ["FINISHES", "finish_word"]

FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT"),
            *("SPII", "MODEL_ARMOR", "ESCALATION", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"),
            *("IMAGE_OTHER", "IMAGE_RECITATION", "NO_IMAGE"),
        ),
        "refused",
    ),
}
_WORDS = {"refused": "content_filter", "tool_calls": "stop", "pause_turn": "stop"}


def finish_word(reason: str) -> str:
    """Return the word that all dialects share, for one of those or for a word of the models."""
    word = FINISHES.get(reason, reason)
    return _WORDS.get(word, word)
