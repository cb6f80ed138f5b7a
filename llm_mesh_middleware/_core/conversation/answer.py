"""A model's answer, in the neutral form: whole, or as deltas.

The deltas of one answer, in the order in which readers give them:

    Start (Logprobs | Text | Refusal | Reasoning | ReasoningEnd | ToolStart | ToolArguments
        | ToolEnd | ImageDraft | Image | Lost)*
    Finish Usage* End

An image is a whole part, and comes again after its drafts. Calls may interleave; `key` tells them
apart. `Usage` may come at any time after `Start`, counts up, and the last one holds. `Failed` may
take the place of anything and is the last. A stream without `End` or `Failed` was cut off.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..values.usage import Usage
from .fault import ProviderFault
from .parts import Citation, Image, Part, Proof

__all__ = [
    "Alternative",
    "Answer",
    "CitationDelta",
    "Delta",
    "End",
    "Failed",
    "Finish",
    "FinishReason",
    "ImageDraft",
    "LogprobsDelta",
    "Lost",
    "ReasoningDelta",
    "ReasoningEnd",
    "RefusalDelta",
    "Start",
    "TextDelta",
    "TokenLogprob",
    "ToolArguments",
    "ToolEnd",
    "ToolStart",
    "Usage",
]

FinishReason = Literal["stop", "length", "tool_calls", "refused", "paused"]


class TokenLogprob(msgspec.Struct, frozen=True, gc=False):
    """A token of a text and its logarithmic probability; `top` are the likeliest of its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Another answer to the same request, if it requested several."""

    parts: tuple[Part, ...] = ()
    finish: FinishReason = "stop"
    logprobs: tuple[TokenLogprob, ...] = ()


class Answer(msgspec.Struct, kw_only=True):
    """One whole answer. `finish` is None where the provider gave no reason: it was cut off.

    `lost` has the names of what the reader could not convert, as `Lost` has them.
    """

    id: str = ""
    model: str = ""
    parts: tuple[Part, ...] = ()
    finish: FinishReason | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None
    created: int | None = None
    service_tier: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    others: tuple[Alternative, ...] = ()
    lost: tuple[str, ...] = ()


class Start(msgspec.Struct, frozen=True, gc=False):
    """The answer begins; the usage is that of its input, if it is known already."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None
    service_tier: str | None = None


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """More text."""

    text: str


class LogprobsDelta(msgspec.Struct, frozen=True, gc=False):
    """The tokens of the text that follows."""

    tokens: tuple[TokenLogprob, ...]


class CitationDelta(msgspec.Struct, frozen=True, gc=False):
    """A source of the text so far."""

    citation: Citation


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    """More of a refusal."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """More reasoning."""

    text: str


class ReasoningEnd(msgspec.Struct, frozen=True, gc=False):
    """The reasoning so far is complete, and proved; a redacted one has nothing but its proof."""

    proof: Proof | None = None
    is_redacted: bool = False


class ToolStart(msgspec.Struct, frozen=True, gc=False):
    """A call begins."""

    key: int
    id: str
    name: str
    is_custom: bool = False
    proof: Proof | None = None


class ToolArguments(msgspec.Struct, frozen=True, gc=False):
    """More of the JSON text of a call's arguments, or of a custom call's input."""

    key: int
    text: str


class ToolEnd(msgspec.Struct, frozen=True, gc=False):
    """A call's arguments are complete; not every dialect says so."""

    key: int


class ImageDraft(msgspec.Struct, frozen=True, gc=False):
    """An image as far as it is made."""

    image: Image


class Lost(msgspec.Struct, frozen=True, gc=False):
    """A part that this form does not have; `name` is one of a few, such as `response.audio`."""

    name: str


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The answer is complete but for its usage; some providers tell the tier only now."""

    reason: FinishReason
    stop_sequence: str | None = None
    service_tier: str | None = None


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The provider reports an error in its stream."""

    fault: ProviderFault


class End(msgspec.Struct, frozen=True, gc=False):
    """Nothing follows."""


Delta = (
    Start
    | TextDelta
    | LogprobsDelta
    | CitationDelta
    | RefusalDelta
    | ReasoningDelta
    | ReasoningEnd
    | ToolStart
    | ToolArguments
    | ToolEnd
    | ImageDraft
    | Image
    | Lost
    | Finish
    | Usage
    | Failed
    | End
)
