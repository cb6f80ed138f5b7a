"""Writes a prompt for a model, and reads its answer as text, for judges."""

from __future__ import annotations

import msgspec

from ..objects import objects_in, read_object
from . import CHAT

__all__ = ["CHAT_PROMPT", "ChatPrompt"]


class ChatPrompt:
    """A system prompt and one user message."""

    operation = CHAT

    def write(self, model: str | None, system: str, user: str) -> bytes:
        """Return the body of the request."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        named = {} if model is None else {"model": model}
        return msgspec.json.encode({**named, "messages": messages, "stream": False})

    def read(self, body: bytes) -> str | None:
        """Return the text of the first choice."""
        for choice in objects_in(read_object(body).get("choices")):
            message = choice.get("message")
            content = message.get("content") if isinstance(message, dict) else None
            return content if isinstance(content, str) else None
        return None


CHAT_PROMPT = ChatPrompt()
