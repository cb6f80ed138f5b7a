"""Whole answers and errors, from and to the neutral form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ...._core.conversation.answer import (
    Alternative,
    Answer,
    FinishReason,
    Lost,
    TokenLogprob,
    Usage,
)
from ...._core.conversation.fault import ErrorBody, ProviderFault
from ...._core.conversation.parts import Citation, Image, Proof, Reasoning, Refusal, Text, ToolCall
from ...._core.conversation.parts import Part as NeutralPart
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ....exceptions import UpstreamProtocolError
from ...lenient import LenientDecoder
from ...translation.proofs import GEMINI, own_proof
from ...translation.texts import called_with, without_none
from ...translation.tools import called_object
from ..errors import error_object
from ..finishes import FINISHES
from ..signatures import standard_base64, write_signature
from ..usage import write_usage
from .contents import write_image
from .logprobs import read_tokens, write_tokens
from .request_reader import IN_ARRAY
from .shapes import Candidate, Part, Response

__all__ = [
    "DRAFT",
    "finish_of",
    "has_image",
    "read_medium",
    "read_answer",
    "write_answer",
    "write_call",
    "write_event",
    "write_fault",
]

# Finish reasons of answers that look complete, but are not.
_MALFORMED = frozenset(
    (
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
        *("MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"),
    )
)

_REASONS: dict[FinishReason, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "refused": "SAFETY",
    "paused": "STOP",
}
# More parts than any candidate has.
_MOST_PARTS = 4096
# A status that only one vendor uses, and the usual one.
_OVERLOADED, _UNAVAILABLE = 529, 503

# The name of an image among the thoughts, which comes again if the model keeps it.
DRAFT = "response.draft"

# The kinds of media types, by which what is lost is named.
_KINDS = frozenset(("audio", "image", "video"))


def has_image(image: Image) -> bool:
    """Return whether a content can have an image."""
    return bool(image.data or image.url)


def read_medium(part: Part, proof: Proof | None) -> Image | Lost | None:
    """Return the image in a part, or the name of what is lost with it; None if it has neither."""
    blob = part.inline_data or part.file_data
    if blob is None:
        return Lost("response.code") if part.executable_code is not None else None
    kind = blob.mime_type.partition("/")[0]
    if kind == "image" and (blob.data or blob.file_uri):
        data = standard_base64(blob.data)
        return Image(blob.mime_type, data, blob.file_uri, proof=proof)
    return Lost(f"response.{kind if kind in _KINDS else 'file'}")


_decode = LenientDecoder(Response)


def finish_of(reason: str, *, has_calls: bool) -> FinishReason:
    """Return the finish reason of an answer.

    Raises:
        UpstreamProtocolError: The model's output was malformed.
    """
    if reason in _MALFORMED:
        raise UpstreamProtocolError(f"ended an answer by {reason}")
    finish = FINISHES.get(reason, "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return a whole answer in the neutral form.

    Raises:
        UpstreamProtocolError: It is not an answer, or the model's output was malformed.
    """
    response = _decode(body)
    if response is None:
        raise UpstreamProtocolError("answered without generated content")
    usage = response.usage_metadata
    answer = Answer(
        id=response.response_id or "",
        model=response.model_version or "",
        usage=None if usage is None else usage.counted(),
    )
    if not response.candidates:
        if response.prompt_feedback is None or not response.prompt_feedback.block_reason:
            raise UpstreamProtocolError("answered without a candidate")
        answer.finish = "refused"
        if response.prompt_feedback.block_reason_message:
            answer.parts = (Refusal(response.prompt_feedback.block_reason_message),)
        return answer
    lost: dict[str, None] = {}
    first, *others = (
        _read_candidate(candidate, stamp, index, lost)
        for index, candidate in enumerate(response.candidates)
    )
    answer.parts, answer.finish, answer.logprobs = first.parts, first.finish, first.logprobs
    answer.others, answer.lost = tuple(others), tuple(lost)
    return answer


def _read_candidate(
    candidate: Candidate, stamp: Stamp, index: int, lost: dict[str, None]
) -> Alternative:
    if not candidate.finish_reason:
        raise UpstreamProtocolError("answered without a reason to end")
    content = candidate.content
    # Calls of all candidates have ids of their own.
    given = (content and content.parts) or []
    parts = tuple(_parts(given, stamp, index * _MOST_PARTS, lost))
    if candidate.has_sources:
        parts = _cited(parts, tuple(candidate.sources().values()))
    finish = finish_of(candidate.finish_reason, has_calls=ToolCall in map(type, parts))
    if finish == "refused" and candidate.finish_message:
        parts = (*parts, Refusal(candidate.finish_message))
    return Alternative(
        parts=parts,
        finish=finish,
        logprobs=read_tokens(candidate.logprobs_result),
    )


def _parts(
    parts: list[Part], stamp: Stamp, first: int, lost: dict[str, None]
) -> Iterator[NeutralPart]:
    for number, part in enumerate(parts, first):
        proof = own_proof(GEMINI, part.thought_signature)
        if part.function_call is not None:
            call = part.function_call
            id = call.id or stamp.id("call_", number)
            yield ToolCall(id, call.name, called_with(call.args), proof=proof)
        elif part.thought:
            if part.text or proof is not None:
                yield Reasoning(part.text or "", proof)
            if part.inline_data is not None:
                lost[DRAFT] = None
        elif part.text is None and (medium := read_medium(part, proof)) is not None:
            if isinstance(medium, Image):
                yield medium
            else:
                lost[medium.name] = None
        else:
            if proof is not None:
                yield Reasoning("", proof)
            if part.text:
                yield Text(part.text)


def _cited(
    parts: tuple[NeutralPart, ...], sources: tuple[Citation, ...]
) -> tuple[NeutralPart, ...]:
    """Return the parts with the sources at the last text."""
    texts = [at for at, part in enumerate(parts) if isinstance(part, Text)]
    return tuple(
        Text(part.text, citations=sources) if isinstance(part, Text) and at == texts[-1] else part
        for at, part in enumerate(parts)
    )


def _sources(parts: Sequence[NeutralPart]) -> list[Citation]:
    """Return the sources of the texts."""
    sources: list[Citation] = []
    for part in parts:
        if part.__class__ is Text and part.citations:
            sources += part.citations
    return sources


def write_answer(answer: Answer, conversation: Conversation, stamp: Stamp) -> bytes:
    """Return a whole answer; a stream that is not events is an array.

    Raises:
        UpstreamProtocolError: A call's arguments are not a JSON object.
    """
    first = Alternative(
        parts=answer.parts, finish=answer.finish or "stop", logprobs=answer.logprobs
    )
    whole = {
        "candidates": [
            _candidate(
                list(_written_parts(choice.parts, choice.finish)),
                index=index,
                finish=choice.finish,
                logprobs=choice.logprobs,
                sources=_sources(choice.parts),
            )
            for index, choice in enumerate((first, *answer.others))
        ],
        "usageMetadata": write_usage(answer.usage or Usage(0, 0)),
        "modelVersion": answer.model or stamp.model,
        "responseId": answer.id or stamp.id(""),
    }
    return msgspec.json.encode([whole] if IN_ARRAY in conversation.echo else whole)


def write_event(
    parts: Sequence[dict[str, Any]],
    *,
    id: str,
    model: str,
    finish: FinishReason | None = None,
    usage: Usage | None = None,
    logprobs: Sequence[TokenLogprob] = (),
    sources: Sequence[Citation] = (),
) -> dict[str, Any]:
    """Return one event of an answer."""
    candidate = _candidate(parts, finish=finish, logprobs=logprobs, sources=sources)
    event: dict[str, Any] = {"candidates": [candidate]}
    if usage is not None:
        event["usageMetadata"] = write_usage(usage)
    return event | {"modelVersion": model, "responseId": id}


def _candidate(
    parts: Sequence[dict[str, Any]],
    *,
    index: int = 0,
    finish: FinishReason | None = None,
    logprobs: Sequence[TokenLogprob] = (),
    sources: Sequence[Citation] = (),
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": index}
    if finish is not None:
        candidate["finishReason"] = _REASONS[finish]
    if sources:
        cited = [without_none(uri=one.url, title=one.title or None) for one in sources if one.url]
        candidate["citationMetadata"] = {"citationSources": cited}
    return candidate | write_tokens(logprobs)


def write_call(call: ToolCall, finish: FinishReason) -> dict[str, Any]:
    """Return a call; a call that was cut off by the token limit has no arguments.

    Raises:
        UpstreamProtocolError: Its arguments are not a JSON object.
    """
    args = called_object(call, finish)
    made = {"functionCall": {"id": call.id, "name": call.name, "args": args}}
    return made | write_signature(call.proof)


def write_fault(fault: ProviderFault) -> ErrorBody:
    """Return a provider's fault as an error object."""
    status = _UNAVAILABLE if fault.status == _OVERLOADED else fault.status
    return ErrorBody(status, error_object(status, fault.message))


def _written_parts(parts: Sequence[NeutralPart], finish: FinishReason) -> Iterator[dict[str, Any]]:
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                if text:
                    yield {"text": text}
            case Reasoning():
                signature = write_signature(part.proof, is_redacted=part.is_redacted)
                yield {"text": part.text, "thought": True} | signature
            case ToolCall():
                yield write_call(part, finish)
            case Image():
                yield write_image(part) | write_signature(part.proof)
