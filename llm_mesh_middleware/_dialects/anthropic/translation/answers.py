"""Whole messages and errors, from and to the neutral form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ...._core.conversation.answer import Answer, FinishReason
from ...._core.conversation.fault import ErrorBody, FaultKind, ProviderFault
from ...._core.conversation.parts import (
    Citation,
    Image,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ...._core.values.usage import Usage
from ....exceptions import UpstreamProtocolError
from ...claude.finishes import FINISHES as CLAUDE_FINISHES
from ...lenient import LenientDecoder
from ...translation.proofs import ANTHROPIC, own_proof, seal
from ...translation.texts import called_with
from ...translation.tools import called_object
from ..errors import error_object
from ..usage import MessageUsage

__all__ = [
    "FINISHES",
    "StopDetails",
    "has_image",
    "lost_name",
    "read_answer",
    "stop_reason",
    "reply_model",
    "write_answer",
    "write_fault",
    "write_usage",
]

FINISHES: dict[str, FinishReason] = {
    **CLAUDE_FINISHES,
    "refusal": "refused",
    "pause_turn": "paused",
}
_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refused": "refusal",
    "paused": "pause_turn",
}
# Kind -> the status of the reply, None for the provider's, and the type.
_ERRORS: dict[FaultKind, tuple[int | None, str]] = {
    "bad_request": (None, "invalid_request_error"),
    "authentication": (None, "authentication_error"),
    "billing": (None, "billing_error"),
    "permission": (None, "permission_error"),
    "not_found": (None, "not_found_error"),
    "conflict": (None, "invalid_request_error"),
    "too_large": (None, "request_too_large"),
    "unprocessable": (None, "invalid_request_error"),
    "rate_limit": (None, "rate_limit_error"),
    "timeout": (None, "timeout_error"),
    "server": (None, "api_error"),
    "overloaded": (529, "overloaded_error"),
}


class _CitationMember(msgspec.Struct):
    url: str | None = None
    title: str | None = None
    cited_text: str | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    citations: list[_CitationMember] | None = None


class StopDetails(msgspec.Struct, gc=False):
    """Why the model has refused to answer."""

    explanation: str | None = None


class _Message(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: MessageUsage | None = None


_decode = LenientDecoder(_Message)


# Blocks of tools that run at the provider, by which what is lost is named.
_LOST = frozenset(
    (
        *("bash_code_execution_tool_result", "code_execution_tool_result", "container_upload"),
        *("mcp_tool_result", "mcp_tool_use", "server_tool_use"),
        *("text_editor_code_execution_tool_result", "tool_search_tool_result"),
        *("web_fetch_tool_result", "web_search_tool_result"),
    )
)


def lost_name(type: str) -> str:
    """Return the name of what is lost with a block of a type."""
    return f"response.{type if type in _LOST else 'block'}"


def has_image(image: Image) -> bool:
    """Return False: a turn of the assistant has no images here."""
    return False


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return a message in the neutral form.

    Raises:
        UpstreamProtocolError: It is not a message.
    """
    message = _decode(body)
    if message is None or message.content is None:
        raise UpstreamProtocolError("answered without a message")
    lost: dict[str, None] = {}
    parts = tuple(_parts(message.content, stamp, lost))
    if message.stop_details is not None and message.stop_details.explanation:
        parts = (*parts, Refusal(message.stop_details.explanation))
    finish = FINISHES.get(message.stop_reason, "stop") if message.stop_reason else None
    return Answer(
        id=message.id or "",
        model=message.model or "",
        parts=parts,
        finish=finish,
        stop_sequence=message.stop_sequence,
        usage=None if message.usage is None else message.usage.counted(),
        lost=tuple(lost),
    )


def _parts(blocks: list[_Block], stamp: Stamp, lost: dict[str, None]) -> Iterator[Part]:
    for number, block in enumerate(blocks):
        match block.type:
            case "text":
                if block.text:
                    cited = tuple(_citations(block)) if block.citations else ()
                    yield Text(block.text, citations=cited)
            case "thinking":
                yield Reasoning(block.thinking or "", own_proof(ANTHROPIC, block.signature))
            case "redacted_thinking":
                yield Reasoning("", Proof(ANTHROPIC, block.data or ""), is_redacted=True)
            case "tool_use":
                id = block.id or stamp.id("toolu_", number)
                yield ToolCall(id, block.name or "", called_with(block.input))
            case _:
                lost[lost_name(block.type)] = None


def _citations(block: _Block) -> Iterator[Citation]:
    for cited in block.citations or ():
        if cited.url:
            yield Citation(cited.url, cited.title or "", cited.cited_text or "")


def write_answer(answer: Answer, conversation: Conversation, stamp: Stamp) -> bytes:
    """Return an answer as a message.

    Raises:
        UpstreamProtocolError: A call's arguments are not a JSON object.
    """
    message = {
        "id": answer.id or stamp.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": reply_model(answer.model, conversation, stamp),
        "content": [*_blocks(answer)],
        "stop_reason": stop_reason(
            answer.finish or "stop",
            answer.stop_sequence,
            refuses=Refusal in map(type, answer.parts),
        ),
        "stop_sequence": answer.stop_sequence,
        "usage": write_usage(answer.usage or Usage(0, 0)),
    }
    return msgspec.json.encode(message)


def reply_model(answered: str, conversation: Conversation, stamp: Stamp) -> str:
    """Return the model for the client's reply: the requested one.

    Claude Code only keeps thoughts of that model. It would send those of another model back without
    their proofs, which Gemini and Claude require.
    """
    return conversation.model or answered or stamp.model


def _blocks(answer: Answer) -> Iterator[dict[str, Any]]:
    for part in answer.parts:
        match part:
            case Text() | Refusal():
                if part.text:
                    yield {"type": "text", "text": part.text, "citations": None}
            case Reasoning(is_redacted=True):
                sealed = seal(part.proof, native=ANTHROPIC, is_redacted=True)
                yield {"type": "redacted_thinking", "data": sealed}
            case Reasoning():
                sealed = seal(part.proof, native=ANTHROPIC)
                yield {"type": "thinking", "thinking": part.text, "signature": sealed}
            case ToolCall():
                if part.proof is not None:
                    sealed = seal(part.proof, native=ANTHROPIC)
                    yield {"type": "thinking", "thinking": "", "signature": sealed}
                input = called_object(part, answer.finish or "stop")
                yield {"type": "tool_use", "id": part.id, "name": part.name, "input": input}


def stop_reason(finish: FinishReason, stop_sequence: str | None, *, refuses: bool) -> str:
    """Return the stop reason of a message; `refuses` says that its text is a refusal."""
    if finish == "stop" and refuses:
        return _REASONS["refused"]
    is_sequence = finish == "stop" and stop_sequence is not None
    return "stop_sequence" if is_sequence else _REASONS[finish]


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return token counts; the input excludes what was read from a cache or written to it."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    counts: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - cached),
        "output_tokens": usage.output_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
    }
    if usage.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts


def write_fault(fault: ProviderFault) -> ErrorBody:
    """Return a provider's fault as an error object."""
    status, type = _ERRORS[fault.kind]
    return ErrorBody(status or fault.status, error_object(type, fault.message))
