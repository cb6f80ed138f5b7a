"""The texts of a message or of a delta, in the members that different providers use.

member                                text         thought
content: "..."                        content
content: [{type: text, text}]         text
content: [{type: thinking, ...}]                   text or thinking, however deep    Mistral
content: [{type: image_url, ...}]                  media
reasoning_content, reasoning                       the first one that is set
reasoning_details: [{text | summary}]              if neither is set                 OpenRouter
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .media import AudioMember, ImageMember
from .vendor_proofs import Detail

__all__ = ["Arguments", "TextMembers", "arguments_text"]

# An object instead of its JSON is a whole call.
Arguments = str | dict[str, object]


class _Part(ImageMember, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | list[_Part] | None = None

    @property
    def is_thought(self) -> bool:
        return self.type == "thinking"


class TextMembers(msgspec.Struct, gc=False):
    """The members with text, or with media, that a message or a delta may have."""

    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Detail] | None = None
    images: list[ImageMember] | None = None
    audio: AudioMember | None = None

    @property
    def has_answer(self) -> bool:
        """Whether there is more than reasoning, apart from calls."""
        return bool(self.content or self.refusal or self.images or self.audio)

    @property
    def image_members(self) -> Sequence[ImageMember]:
        """The images, wherever they are."""
        if isinstance(self.content, list):
            return [*self.content, *(self.images or ())]
        return self.images or ()

    @property
    def text(self) -> str:
        """The text of the content."""
        content = self.content
        if isinstance(content, list):
            return "".join([part.text or "" for part in content if not part.is_thought])
        return content or ""

    @property
    def thought(self) -> str:
        """The text of the reasoning."""
        text = self.reasoning_content or self.reasoning or ""
        if not text and self.reasoning_details:
            text = "".join([detail.said for detail in self.reasoning_details])
        if isinstance(self.content, list):
            return _texts([part for part in self.content if part.is_thought]) + text
        return text


def _texts(parts: list[_Part]) -> str:
    text = ""
    for part in parts:
        thinking = part.thinking
        inner = _texts(thinking) if isinstance(thinking, list) else thinking
        text += inner or part.text or ""
    return text


def arguments_text(given: Arguments | None) -> str:
    """Return the JSON of a call's arguments."""
    return msgspec.json.encode(given).decode() if isinstance(given, dict) else given or ""
