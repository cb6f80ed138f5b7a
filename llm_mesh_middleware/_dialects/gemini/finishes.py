"""The finish reasons of the models; function calls have the same one as texts."""

from __future__ import annotations

from ..._core.conversation.answer import FinishReason

__all__ = ["FINISHES", "shared_reason"]

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
_REASONS = {"refused": "content_filter", "tool_calls": "stop", "pause_turn": "stop"}


def shared_reason(reason: str) -> str:
    """Return the shared term for a finish reason of the models, or for a shared one."""
    word = FINISHES.get(reason, reason)
    return _REASONS.get(word, word)
