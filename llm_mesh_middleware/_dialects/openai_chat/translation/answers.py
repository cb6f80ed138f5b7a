"""Whole chat completions and errors, from and to the neutral form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ...._core.conversation.answer import Alternative, Answer, FinishReason, TokenLogprob
from ...._core.conversation.parts import Citation, Image, Part, Reasoning, Refusal, Text, ToolCall
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ...._core.values.usage import Usage
from ....exceptions import UpstreamProtocolError
from ...lenient import LenientDecoder
from ...openai.logprobs import TokenMember, read_tokens, write_tokens
from ...openai.token_details import write_modalities
from ...translation.proofs import ANTHROPIC, seal
from ...translation.texts import arguments_of, custom_input, custom_names
from ..usage import ChatUsage, Groq
from .calls import FunctionPiece
from .media import google_content, image_members, read_images
from .text_members import TextMembers
from .vendor_proofs import extra_proof, read_details

__all__ = [
    "AUDIO",
    "Annotation",
    "Logprobs",
    "REASONS",
    "citations_of",
    "finish_of",
    "logprobs_object",
    "read_answer",
    "thinking_block",
    "tokens_of",
    "write_answer",
    "write_usage",
]

# The name of sound that is lost.
AUDIO = "response.audio"

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refused",
}
REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refused": "content_filter",
    "paused": "stop",
}


class _Call(msgspec.Struct):
    id: str | None = None
    function: FunctionPiece | None = None
    extra_content: msgspec.Raw = msgspec.Raw()


class _URLCitation(msgspec.Struct):
    url: str | None = None
    title: str | None = None


class Annotation(msgspec.Struct):
    """A source of a text."""

    url_citation: _URLCitation | None = None


class _Message(TextMembers):
    tool_calls: list[_Call] | None = None
    annotations: list[Annotation] | None = None


class Logprobs(msgspec.Struct):
    """Probabilities of the tokens of a choice, or of a piece of it."""

    content: list[TokenMember] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: object = None
    logprobs: Logprobs | None = None
    usage: ChatUsage | None = None  # Moonshot


class _Completion(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    x_groq: Groq | None = None


_decode = LenientDecoder(_Completion)


def finish_of(reason: object, *, has_calls: bool) -> FinishReason | None:
    """Return the finish reason; several servers send `stop` for a call, or a number."""
    if not reason:
        return None
    finish = _FINISHES.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if has_calls and finish == "stop" else finish


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return a completion in the neutral form.

    Raises:
        UpstreamProtocolError: It is not a completion, or one that was cut off.
    """
    completion = _decode(body)
    choice = completion.choices[0] if completion is not None and completion.choices else None
    if completion is None or choice is None or choice.message is None:
        raise UpstreamProtocolError("answered without a completion")
    parts = tuple(_parts(choice.message, stamp))
    has_calls = ToolCall in map(type, parts)
    finish = finish_of(choice.finish_reason, has_calls=has_calls)
    if finish is None:
        raise UpstreamProtocolError("answered with a completion that was cut off")
    return Answer(
        id=completion.id or "",
        model=completion.model or "",
        parts=parts,
        finish=finish,
        usage=_counted(completion, choice),
        logprobs=tokens_of(choice.logprobs),
        others=tuple(_others(completion.choices or (), stamp)),
        created=completion.created,
        service_tier=completion.service_tier,
        lost=() if choice.message.audio is None else (AUDIO,),
    )


def tokens_of(logprobs: Logprobs | None) -> tuple[TokenLogprob, ...]:
    """Return the tokens of a choice."""
    return () if logprobs is None else read_tokens(logprobs.content)


def _others(choices: Sequence[_Choice], stamp: Stamp) -> Iterator[Alternative]:
    """Yield the choices after the first."""
    for choice in choices[1:]:
        if choice.message is None:
            raise UpstreamProtocolError("answered with a choice without a message")
        parts = tuple(_parts(choice.message, stamp))
        has_calls = ToolCall in map(type, parts)
        finish = finish_of(choice.finish_reason, has_calls=has_calls) or "stop"
        yield Alternative(parts=parts, finish=finish, logprobs=tokens_of(choice.logprobs))


def _counted(completion: _Completion, choice: _Choice) -> Usage | None:
    """Return the token counts; of several places the last one counts."""
    counted: Usage | None = None
    groq = completion.x_groq.usage if completion.x_groq is not None else None
    for usage in (choice.usage, groq, completion.usage):
        if usage is not None and (given := usage.counted()) is not None:
            counted = given.after(counted)
    return counted


def _parts(message: _Message, stamp: Stamp) -> Iterator[Part]:
    if message.reasoning_details:
        yield from read_details(message.reasoning_details, message.thought, stamp.host)
    elif thought := message.thought:
        yield Reasoning(thought)
    text = message.text
    if not text and message.audio is not None:
        text = message.audio.transcript or ""
    if text:
        notes = message.annotations
        yield Text(text, citations=tuple(citations_of(notes)) if notes else ())
    if message.refusal:
        yield Refusal(message.refusal)
    if message.images or isinstance(message.content, list):
        yield from read_images(message.image_members)
    for number, call in enumerate(message.tool_calls or ()):
        if call.function is not None and call.function.name:
            id = call.id or stamp.id("call_", number)
            proof = extra_proof(call.extra_content, stamp.host)
            yield ToolCall(id, call.function.name, call.function.text or "{}", proof=proof)


def citations_of(annotations: Sequence[Annotation]) -> Iterator[Citation]:
    """Yield the sources with a URL."""
    for annotation in annotations:
        if (cited := annotation.url_citation) is not None and cited.url:
            yield Citation(cited.url, cited.title or "")


def write_answer(answer: Answer, conversation: Conversation, stamp: Stamp) -> bytes:
    """Return an answer as a completion."""
    first = Alternative(
        parts=answer.parts, finish=answer.finish or "stop", logprobs=answer.logprobs
    )
    custom = custom_names(conversation)
    choices = [
        _choice(index, choice, custom) for index, choice in enumerate((first, *answer.others))
    ]
    completion: dict[str, Any] = {
        "id": answer.id or stamp.id("chatcmpl-"),
        "object": "chat.completion",
        "created": answer.created or stamp.created,
        "model": answer.model or stamp.model,
        "choices": choices,
    }
    if answer.service_tier is not None:
        completion["service_tier"] = answer.service_tier
    if answer.usage is not None:
        completion["usage"] = write_usage(answer.usage)
    return msgspec.json.encode(completion)


def _choice(index: int, choice: Alternative, custom: frozenset[str]) -> dict[str, Any]:
    parts = choice.parts
    kinds = set(map(type, parts))  # most answers have one or two of them
    refusal = ""
    if Refusal in kinds:
        refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    text = "".join(part.text for part in parts if isinstance(part, Text))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text or None,
        "refusal": refusal or None,
    }
    if Reasoning in kinds:
        reasoning = [part for part in parts if isinstance(part, Reasoning)]
        if any(part.text for part in reasoning):
            message["reasoning_content"] = text_of_reasoning(reasoning)
        if blocks := [block for part in reasoning if (block := thinking_block(part))]:
            message["thinking_blocks"] = blocks
    if annotations := list(_annotations(parts)):
        message["annotations"] = annotations
    if Image in kinds:
        message["images"] = image_members(part for part in parts if isinstance(part, Image))
    if ToolCall in kinds:
        message["tool_calls"] = [
            _call(part, custom) for part in parts if isinstance(part, ToolCall)
        ]
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_object(choice.logprobs),
        "finish_reason": REASONS[choice.finish],
    }


def logprobs_object(tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    """Return the member of a choice with its tokens."""
    return {"content": write_tokens(tokens), "refusal": None} if tokens else None


def text_of_reasoning(parts: list[Reasoning]) -> str:
    """Return the text of the reasoning."""
    return "".join(part.text for part in parts)


def thinking_block(part: Reasoning) -> dict[str, str] | None:
    """Return reasoning with its proof, which clients send back; None without a proof."""
    if part.proof is None:
        return None
    sealed = seal(part.proof, native=ANTHROPIC, is_redacted=part.is_redacted)
    if part.is_redacted:
        return {"type": "redacted_thinking", "data": sealed}
    return {"type": "thinking", "thinking": part.text, "signature": sealed}


def _annotations(parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
    """Yield the citations of URLs; each refers to the whole text part."""
    end = 0
    for part in parts:
        if isinstance(part, Text):
            begin, end = end, end + len(part.text)
            for cited in part.citations:
                if cited.url:
                    place = {"start_index": begin, "end_index": end}
                    citation = {"url": cited.url, "title": cited.title} | place
                    yield {"type": "url_citation", "url_citation": citation}


def _call(call: ToolCall, custom: frozenset[str]) -> dict[str, Any]:
    if call.is_custom or call.name in custom:
        input = call.arguments if call.is_custom else custom_input(call.arguments)
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": input}}
    function = {"name": call.name, "arguments": arguments_of(call) or "{}"}
    written: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
    if call.proof is not None:
        written["extra_content"] = google_content(call.proof)
    return written


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return token counts; the input includes what was read from a cache or written to it."""
    inputs = {"cached_tokens": usage.cache_read_tokens}
    outputs = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.cache_write_tokens:
        inputs["cache_write_tokens"] = usage.cache_write_tokens
    if usage.modalities:
        inputs |= write_modalities(usage, "input_tokens")
        outputs |= write_modalities(usage, "output_tokens")
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": inputs,
        "completion_tokens_details": outputs,
    }
