"""Reads whole answers and errors of the Converse API into the neutral form."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..._core.conversation.answer import Answer, FinishReason
from ..._core.conversation.fault import ProviderFault
from ..._core.conversation.parts import Citation, Image, Part, Proof, Reasoning, Text, ToolCall
from ..._core.conversation.writing import Stamp
from ..._core.values.headers import Headers
from ..._core.values.usage import Usage
from ...exceptions import UpstreamProtocolError
from ..aws_exceptions import exception_fault
from ..claude.finishes import FINISHES
from ..lenient import Count, LenientDecoder
from ..objects import read_object
from ..translation.proofs import BEDROCK, own_proof
from ..translation.texts import called_with

__all__ = [
    "CitationMember",
    "LOST_IMAGE",
    "SERVER_TOOL",
    "ConverseUsage",
    "ImageBlock",
    "finish_of",
    "made_image",
    "read_answer",
    "read_fault",
]

# The type of a call that the provider answers itself.
SERVER_TOOL = "server_tool_use"

# The name of an image that cannot be had: it was blocked, or is in a bucket.
LOST_IMAGE = "response.image"

_FINISHES: dict[str, FinishReason] = {
    **FINISHES,
    "guardrail_intervened": "refused",
    "content_filtered": "refused",
}
_MALFORMED = frozenset(("malformed_model_output", "malformed_tool_use"))


class ConverseUsage(msgspec.Struct, rename="camel", gc=False):
    """`usage`; the input excludes what was read from a cache or written to it."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None

    def counted(self) -> Usage:
        """Return the counts."""
        read, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        prompt = (self.input_tokens or 0) + read + written
        return Usage(prompt, self.output_tokens or 0, read, written)


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    type: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _Cited(msgspec.Struct):
    text: str = ""


class _Web(msgspec.Struct, gc=False):
    url: str = ""


class _Location(msgspec.Struct, gc=False):
    web: _Web | None = None


class CitationMember(msgspec.Struct, gc=False):
    """A source of a text; only pages of the web have a URL."""

    title: str | None = None
    location: _Location | None = None

    @property
    def citation(self) -> Citation | None:
        """The source, if it has a URL."""
        web = self.location and self.location.web
        return Citation(web.url, self.title or "") if web and web.url else None


class _Citations(msgspec.Struct):
    content: list[_Cited] | None = None
    citations: list[CitationMember] | None = None


class ImageSource(msgspec.Struct, gc=False):
    """Where the bytes of an image are: base64, or elsewhere."""

    bytes: str | None = None


class ImageBlock(msgspec.Struct, gc=False):
    """An image, or the beginning or a piece of one."""

    format: str = ""
    source: ImageSource | None = None


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None
    image: ImageBlock | None = None
    audio: object = None


class _Message(msgspec.Struct):
    content: list[_Block] = []


class _Output(msgspec.Struct):
    message: _Message | None = None


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str = ""
    usage: ConverseUsage | None = None


_decode = LenientDecoder(_Answer)


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return a whole answer in the neutral form. It has neither id nor model.

    Raises:
        UpstreamProtocolError: It is not an answer, or the model's output was malformed.
    """
    answer = _decode(body)
    if answer is None or answer.output is None or answer.output.message is None:
        raise UpstreamProtocolError("answered without a message")
    lost: dict[str, None] = {}
    parts = tuple(_parts(answer.output.message.content, stamp, lost))
    has_calls = ToolCall in map(type, parts)
    return Answer(
        parts=parts,
        finish=finish_of(answer.stop_reason, has_calls=has_calls),
        usage=None if answer.usage is None else answer.usage.counted(),
        lost=tuple(lost),
    )


def _parts(blocks: list[_Block], stamp: Stamp, lost: dict[str, None]) -> Iterator[Part]:
    for number, block in enumerate(blocks):
        if block.text:
            yield Text(block.text)
        elif block.tool_use is not None and block.tool_use.type == SERVER_TOOL:
            lost[f"response.{SERVER_TOOL}"] = None
        elif block.tool_use is not None:
            call = block.tool_use
            id = call.tool_use_id or stamp.id("tooluse_", number)
            yield ToolCall(id, call.name, called_with(call.input))
        elif block.reasoning_content is not None:
            yield _reasoning(block.reasoning_content)
        elif block.citations_content is not None:
            text = "".join(cited.text for cited in block.citations_content.content or ())
            cited = (one.citation for one in block.citations_content.citations or ())
            if text:
                yield Text(text, citations=tuple(one for one in cited if one is not None))
        elif block.image is not None:
            source = block.image.source
            if source is None or not source.bytes:
                lost[LOST_IMAGE] = None
            else:
                yield made_image(block.image.format, source.bytes)
        elif block.text is None:
            lost["response.block" if block.audio is None else "response.audio"] = None


def made_image(format: str, data: str) -> Image:
    """Return an image that a model has made."""
    return Image(f"image/{format}", data)


def _reasoning(block: _Reasoning) -> Reasoning:
    if block.redacted_content is not None:
        return Reasoning("", Proof(BEDROCK, block.redacted_content), is_redacted=True)
    reasoning = block.reasoning_text or _ReasoningText()
    return Reasoning(reasoning.text, own_proof(BEDROCK, reasoning.signature))


def finish_of(reason: str, *, has_calls: bool) -> FinishReason:
    """Return the finish reason of an answer.

    Raises:
        UpstreamProtocolError: The model's output was malformed, although it looks complete.
    """
    if reason in _MALFORMED:
        raise UpstreamProtocolError(f"ended an answer by {reason}")
    finish = _FINISHES.get(reason, "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish


def read_fault(status: int, headers: Headers, body: bytes) -> ProviderFault:
    """Return an error in the neutral form; a header field or a member names the exception."""
    members = read_object(body)
    named = headers.get("x-amzn-errortype") or members.get("__type") or ""
    name = str(named).partition(":")[0].rpartition("#")[2]
    message = members.get("message") or members.get("Message")
    return exception_fault(name, message if isinstance(message, str) else "", status)
