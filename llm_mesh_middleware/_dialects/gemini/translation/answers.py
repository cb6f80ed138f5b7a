"""Whole answers, in the neutral form."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...._core.conversation.answer import Answer, FinishReason
from ...._core.conversation.parts import Part as NeutralPart
from ...._core.conversation.parts import Proof, Reasoning, Text, ToolCall
from ...._core.conversation.writing import Stamp
from ....exceptions import UpstreamProtocolError
from .shapes import Part, Response

__all__ = ["LETTER", "finish_of", "read_answer"]

# The letter of its proofs.
LETTER = "g"

_FINISHES: dict[str, FinishReason] = {
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
# An answer with one of these would look complete, and is not.
_MALFORMED = frozenset(
    (
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
        *("MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"),
    )
)

_decode = msgspec.json.Decoder(Response).decode


def finish_of(reason: str, *, has_calls: bool) -> FinishReason:
    """Return why an answer ends.

    Raises:
        UpstreamProtocolError: The model's output was malformed.
    """
    if reason in _MALFORMED:
        raise UpstreamProtocolError(f"ended an answer by {reason}")
    finish = _FINISHES.get(reason, "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return what a whole answer says.

    Raises:
        UpstreamProtocolError: It is no answer, or the model's output was malformed.
    """
    try:
        response = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocolError("answered without generated content") from None
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
        return answer
    candidate = response.candidates[0]
    content = candidate.content
    answer.parts = tuple(_parts((content and content.parts) or [], stamp))
    if candidate.finish_reason:
        has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
        answer.finish = finish_of(candidate.finish_reason, has_calls=has_calls)
    else:
        raise UpstreamProtocolError("answered without a reason to end")
    return answer


def _parts(parts: list[Part], stamp: Stamp) -> Iterator[NeutralPart]:
    for number, part in enumerate(parts):
        signature = part.thought_signature
        proof = Proof(LETTER, signature) if signature else None
        if part.function_call is not None:
            call = part.function_call
            id = call.id or stamp.id("call_", number)
            yield ToolCall(id, call.name, bytes(call.args).decode(), proof=proof)
        elif part.thought:
            yield Reasoning(part.text or "", proof)
        else:
            if proof is not None:
                yield Reasoning("", proof)
            if part.text:
                yield Text(part.text)
