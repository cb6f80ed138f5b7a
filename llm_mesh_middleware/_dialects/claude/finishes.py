"""The stop reasons of the models."""

from __future__ import annotations

from ..._core.conversation.answer import FinishReason

__all__ = ["FINISHES"]

FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
