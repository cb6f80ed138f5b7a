"""Writes deltas as the events that clients of the Gemini API read.

a text, a thought ──► an event
a call ──► held until its arguments are whole, or it is too late: they have no pieces here
Finish ──► the calls that are still held; the reason is kept
Usage ──► the usage is updated
End ──► the last event, with reason, usage and the sources of the texts
Failed ──► an event with an error object
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ...._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
    FinishReason,
    ImageDraft,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Start,
    TextDelta,
    TokenLogprob,
    ToolArguments,
    ToolEnd,
    ToolStart,
    Usage,
)
from ...._core.conversation.parts import Citation, Image, ToolCall
from ...._core.conversation.writing import Stamp
from ...._core.http.sse import make_event
from ....exceptions import AnswerableError
from ...translation.texts import json_object
from ..errors import error_object
from ..signatures import write_signature
from .answers import write_call, write_event, write_fault
from .contents import write_image

__all__ = ["ContentEventWriter"]

_encode = msgspec.json.Encoder().encode
# What is around the text of an event with nothing else: all but model and id are fixed.
_HEAD = b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":'
_TAIL = b'}]},"index":0}],"modelVersion":%b,"responseId":%b}\n\n'


class ContentEventWriter:
    """Writes one answer."""

    def __init__(self, stamp: Stamp) -> None:
        self._id = stamp.id("")
        self._model = stamp.model
        self._tail = b""  # of an event of text; empty until it is known
        self._calls: dict[int, tuple[ToolStart, list[str]]] = {}
        self._usage: Usage | None = None
        self._finish: FinishReason = "stop"
        self._logprobs: tuple[TokenLogprob, ...] = ()  # of the next event
        self._citations: list[Citation] = []  # of the last event

    def write(self, deltas: Iterable[Delta]) -> bytes:
        """Return the events of deltas.

        Raises:
            UpstreamProtocolError: A call's arguments are not a JSON object.
        """
        out: list[bytes] = []
        for delta in deltas:
            self._write(delta, out)
        return b"".join(out)

    def fail(self, error: AnswerableError) -> bytes:
        """Return an event with an error object."""
        return make_event(error_object(error.status, error.message))

    def _write(self, delta: Delta, out: list[bytes]) -> None:
        match delta:
            case TextDelta(text) | RefusalDelta(text):
                out.append(self._text(text))
            case ReasoningDelta(text):
                out.append(self._event([{"text": text, "thought": True}]))
            case ReasoningEnd(proof, is_redacted) if proof is not None:
                signature = write_signature(proof, is_redacted=is_redacted)
                out.append(self._event([{"text": "", "thought": True} | signature]))
            case ToolStart(key):
                self._calls[key] = (delta, [])
            case ToolArguments(key, text) if key in self._calls:
                self._calls[key][1].append(text)
            case ToolEnd(key):
                # What is not whole may have been cut off by the limit of tokens.
                if key in self._calls and json_object("".join(self._calls[key][1])) is not None:
                    self._end_call(key, "stop", out)
            case Image():
                out.append(self._event([write_image(delta) | write_signature(delta.proof)]))
            case ImageDraft(image):
                out.append(self._event([write_image(image) | {"thought": True}]))
            case LogprobsDelta(tokens):
                self._logprobs += tokens
            case CitationDelta(citation):
                self._citations.append(citation)
            case Start():
                self._id = delta.id or self._id
                self._model = delta.model or self._model
                self._tail = b""
                self._usage = delta.usage or self._usage
            case Usage():
                self._usage = delta.after(self._usage)
            case Finish(reason):
                self._finish = reason
                for key in list(self._calls):
                    self._end_call(key, reason, out)
            case Failed(fault):
                out.append(make_event(write_fault(fault).body))
            case End():
                usage = self._usage or Usage(0, 0)
                out.append(self._event([{"text": ""}], finish=self._finish, usage=usage))
            case _:
                pass

    def _text(self, text: str) -> bytes:
        """Return the most common event; no dict is made for it."""
        if self._logprobs:
            return self._event([{"text": text}])
        if not self._tail:
            self._tail = _TAIL % (_encode(self._model), _encode(self._id))
        return _HEAD + _encode(text) + self._tail

    def _end_call(self, key: int, finish: FinishReason, out: list[bytes]) -> None:
        if key not in self._calls:
            return
        start, pieces = self._calls.pop(key)
        text = "".join(pieces)
        call = ToolCall(start.id, start.name, text, start.is_custom, start.proof)
        out.append(self._event([write_call(call, finish)]))

    def _event(
        self,
        parts: list[dict[str, Any]],
        *,
        finish: FinishReason | None = None,
        usage: Usage | None = None,
    ) -> bytes:
        logprobs, self._logprobs = self._logprobs, ()
        event = write_event(
            parts,
            id=self._id,
            model=self._model,
            finish=finish,
            usage=usage,
            logprobs=logprobs,
            sources=self._citations if finish is not None else (),
        )
        return make_event(_encode(event))
