"""Reads whole answers of the chat API; a line of a stream is a part of such an answer."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..._core.conversation.answer import Answer, FinishReason, TokenLogprob
from ..._core.conversation.parts import Part, Reasoning, Text, ToolCall
from ..._core.conversation.writing import Stamp
from ..._core.values.usage import Usage
from ...exceptions import UpstreamProtocolError
from ..lenient import Count, LenientDecoder
from ..translation.texts import called_with

__all__ = [
    "Call",
    "ChatAnswer",
    "Message",
    "arguments_of",
    "call_id",
    "finish_of",
    "read_answer",
    "tokens_of",
]

_FINISHES: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
# The model was only loaded or unloaded, as by a request without messages.
_IDLE = frozenset(("load", "unload"))


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Call(msgspec.Struct, gc=False):
    """A call; older servers send no id."""

    id: str | None = None
    function: _Function | None = None


class Message(msgspec.Struct, gc=False):
    """The model's message."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class _Top(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0


class _Token(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Top] | None = None


class ChatAnswer(msgspec.Struct, gc=False):
    """A response, or one line of it; `done` marks the last."""

    model: str | None = None
    message: Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: Count | None = None
    eval_count: Count | None = None
    logprobs: list[_Token] | None = None
    error: object = None

    def counted(self) -> Usage | None:
        """Return the usage; the prompt's count is missing if all of it was cached."""
        if self.prompt_eval_count is None and self.eval_count is None:
            return None
        return Usage(self.prompt_eval_count or 0, self.eval_count or 0)


_decode = LenientDecoder(ChatAnswer)
_decode_text = msgspec.json.Decoder(str).decode


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return a whole answer in the neutral form. It has no id.

    Raises:
        UpstreamProtocolError: It is not an answer.
    """
    answer = _decode(body)
    if answer is None or answer.message is None:
        raise UpstreamProtocolError("answered without a message")
    parts = tuple(_parts(answer.message, stamp))
    has_calls = ToolCall in map(type, parts)
    return Answer(
        model=answer.model or "",
        parts=parts,
        finish=finish_of(answer.done_reason, has_calls=has_calls) if answer.done else None,
        usage=answer.counted(),
        logprobs=tokens_of(answer),
    )


def _parts(message: Message, stamp: Stamp) -> Iterator[Part]:
    if message.thinking:
        yield Reasoning(message.thinking)
    if message.content:
        yield Text(message.content)
    for number, call in enumerate(message.tool_calls or ()):
        if call.function is not None:
            yield ToolCall(call_id(call, number, stamp), call.function.name, arguments_of(call))


def call_id(call: Call, number: int, stamp: Stamp) -> str:
    """Return the id of a call, a generated one if the server sends none."""
    return call.id or stamp.id("call_", number)


def arguments_of(call: Call) -> str:
    """Return the arguments of a call as JSON text; some servers of this API send that text."""
    if call.function is None:
        return "{}"
    given = called_with(call.function.arguments)
    return _decode_text(given) if given.startswith('"') else given


def finish_of(reason: str | None, *, has_calls: bool) -> FinishReason:
    """Return the finish reason of an answer.

    Raises:
        UpstreamProtocolError: There is no answer: the model was only loaded.
    """
    if reason in _IDLE:
        raise UpstreamProtocolError(f"answered with {reason} instead of a message")
    finish = _FINISHES.get(reason or "stop", "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish


def tokens_of(answer: ChatAnswer) -> tuple[TokenLogprob, ...]:
    """Return the probabilities of the tokens of an answer, or of a line."""
    return tuple(
        TokenLogprob(
            token.token,
            token.logprob,
            tuple((top.token, top.logprob) for top in token.top_logprobs or ()),
        )
        for token in answer.logprobs or ()
    )
