"""The parts of a turn or an answer.

Base64 data and JSON stay the text that they came as. `cache` marks the end of a prefix worth
caching: None for no mark, else its time to live, empty for the provider's default.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "Audio",
    "Citation",
    "Document",
    "Image",
    "Part",
    "Proof",
    "Reasoning",
    "Refusal",
    "Text",
    "ToolCall",
    "ToolResult",
]


class Proof(msgspec.Struct, frozen=True, gc=False):
    """An opaque text by which a provider recognises its own reasoning.

    `dialect` is the one letter of the form that can verify it: `a` for Anthropic's signatures, `r`
    for OpenAI's Responses, `g` for Gemini, `b` for Bedrock; `d` and `e` are members of chat
    completions, which only the provider that has given them can verify.
    """

    dialect: str
    value: str


class Citation(msgspec.Struct, frozen=True, gc=False):
    """A source of a text. One without a URL is known to its own dialect only, as `raw` JSON."""

    url: str = ""
    title: str = ""
    quote: str = ""
    raw: bytes = b""


class Text(msgspec.Struct, frozen=True):
    """Plain text."""

    text: str
    cache: str | None = None
    citations: tuple[Citation, ...] = ()


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The model's refusal to answer."""

    text: str


class Image(msgspec.Struct, frozen=True, gc=False):
    """An image: base64 `data` of a `media_type`, or a `url`, or the id of an uploaded file.

    `proof` belongs to an image that a model has made, as Gemini has it.
    """

    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    detail: str | None = None
    cache: str | None = None
    proof: Proof | None = None


class Document(msgspec.Struct, frozen=True):
    """A file: base64 `data` of a `media_type`, plain `text`, a `url`, a file's id, or `parts`."""

    media_type: str = ""
    data: str = ""
    text: str = ""
    url: str = ""
    file_id: str = ""
    parts: tuple[Part, ...] = ()
    title: str = ""
    context: str = ""
    has_citations: bool = False
    cache: str | None = None


class Audio(msgspec.Struct, frozen=True, gc=False):
    """Base64 sound; `format` is a short name such as `wav` or `mp3`."""

    format: str
    data: str
    cache: str | None = None


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A model's call of a tool.

    `arguments` is JSON text, an object's unless the model has failed; of a custom tool it is the
    free text of its input. `proof` belongs to the call itself, as Gemini has it.
    """

    id: str
    name: str
    arguments: str
    is_custom: bool = False
    proof: Proof | None = None
    cache: str | None = None


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool returned. `name` is the tool's, found by the reader from the call of this id."""

    call_id: str
    parts: tuple[Part, ...] = ()
    name: str = ""
    is_error: bool = False
    is_custom: bool = False
    cache: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """The model's reasoning. `is_redacted`: only its proof is given.

    `is_summary` says that `text` is a summary; `id` is the item's, where a dialect names it.
    """

    text: str = ""
    proof: Proof | None = None
    is_redacted: bool = False
    is_summary: bool = False
    id: str = ""


Part = Text | Refusal | Image | Document | Audio | ToolCall | ToolResult | Reasoning
