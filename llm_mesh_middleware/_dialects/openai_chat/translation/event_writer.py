"""Writes deltas as chunks of a chat completion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ...._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Start,
    TextDelta,
    TokenLogprob,
    ToolArguments,
    ToolStart,
    Usage,
)
from ...._core.conversation.parts import Image, Reasoning
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ...._core.http.sse import make_event
from ....exceptions import AnswerableError
from ...openai.errors import error_body, write_fault
from ...translation.texts import custom_input, custom_names
from .answers import REASONS, logprobs_object, thinking_block, write_usage
from .media import google_content, image_members

__all__ = ["ChunkWriter"]

_encode = msgspec.json.Encoder().encode


class ChunkWriter:
    """Writes one answer. Calls may interleave, as they do in the deltas."""

    def __init__(self, conversation: Conversation, stamp: Stamp) -> None:
        self._stamp = stamp
        self._includes_usage = conversation.include_usage
        self._start, self._head = Start(), b""
        # The key of a call -> its index, and the keys of those whose arguments have begun.
        self._indexes: dict[int, int] = {}
        self._with_arguments: set[int] = set()
        self._custom_names = custom_names(conversation)
        # The key of a custom call -> whether its text is the input itself, and the text so far.
        self._custom: dict[int, tuple[bool, list[str]]] = {}
        self._thoughts: list[str] = []
        # The items so far of each list. OpenAI's SDK joins the lists of deltas by `index`, which
        # the first item can do without: gateways have it on images only.
        self._items = dict.fromkeys(("images", "annotations", "thinking_blocks"), 0)
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._is_over = False

    def write(self, deltas: Iterable[Delta]) -> bytes:
        """Return the chunks of deltas."""
        out: list[bytes] = []
        for delta in deltas:
            if self._is_over:
                break
            self._write(delta, out)
        return b"".join(out)

    def fail(self, error: AnswerableError) -> bytes:
        """Return an event with an error object; no `[DONE]` follows it."""
        self._is_over = True
        return make_event(error_body(error))

    def _write(self, delta: Delta, out: list[bytes]) -> None:
        match delta:
            case TextDelta(text):
                out.append(self._chunk({"content": text}))
            case ToolArguments(key, text):
                if key in self._custom:
                    self._custom[key][1].append(text)
                elif key in self._indexes and text:
                    self._with_arguments.add(key)
                    out.append(self._call(key, {"arguments": text}))
            case ReasoningDelta(text):
                self._thoughts.append(text)
                out.append(self._chunk({"reasoning_content": text}))
            case ReasoningEnd():
                self._end_reasoning(delta, out)
            case LogprobsDelta(tokens):
                out.append(self._logprobs(tokens))
            case RefusalDelta(text):
                out.append(self._chunk({"refusal": text}))
            case ToolStart():
                self._start_call(delta, out)
            case CitationDelta(citation):
                if citation.url:
                    details = {"url": citation.url, "title": citation.title}
                    details |= {"start_index": 0, "end_index": 0}  # type: ignore[dict-item]
                    note = {"type": "url_citation", "url_citation": details}
                    out.append(self._item("annotations", note))
            case Image():
                out.append(self._item("images", *image_members((delta,))))
            case Start():
                self._begin(delta)
                self._usage = delta.usage or self._usage
                out.append(self._chunk({"role": "assistant", "content": ""}))
            case Usage():
                self._usage = delta.after(self._usage)
            case Finish():
                self._finish = delta
            case Failed(fault):
                self._is_over = True
                out.append(make_event(write_fault(fault).body))
            case End():
                self._end(out)
            case _:
                pass

    def _begin(self, start: Start) -> None:
        self._start, stamp = start, self._stamp
        head: dict[str, Any] = {
            "id": start.id or stamp.id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": stamp.created,
            "model": start.model or stamp.model,
        }
        if start.service_tier is not None:
            head["service_tier"] = start.service_tier
        self._head = b"data: " + _encode(head)[:-1]

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        if not self._head:
            self._begin(Start())
        return b'%b,"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n' % (
            self._head,
            _encode(delta),
            _encode(reason),
        )

    def _item(self, name: str, item: Mapping[str, Any]) -> bytes:
        """Return the chunk with the next item of a list."""
        index = self._items[name]
        self._items[name] += 1
        return self._chunk({name: [{**item, "index": index} if index else item]})

    def _logprobs(self, tokens: tuple[TokenLogprob, ...]) -> bytes:
        choice = {"index": 0, "delta": {}, "logprobs": logprobs_object(tokens)}
        choices = _encode([choice | {"finish_reason": None}])
        return b'%b,"choices":%b}\n\n' % (self._head, choices)

    def _call(self, key: int, function: dict[str, Any]) -> bytes:
        call = {"index": self._indexes[key], "function": function}
        return self._chunk({"tool_calls": [call]})

    def _start_call(self, start: ToolStart, out: list[bytes]) -> None:
        index = self._indexes[start.key] = len(self._indexes)
        call: dict[str, Any] = {"index": index, "id": start.id}
        if start.is_custom or start.name in self._custom_names:
            self._custom[start.key] = (start.is_custom, [])
            call |= {"type": "custom", "custom": {"name": start.name, "input": ""}}
        else:
            call |= {"type": "function", "function": {"name": start.name, "arguments": ""}}
        if start.proof is not None:
            call["extra_content"] = google_content(start.proof)
        out.append(self._chunk({"tool_calls": [call]}))

    def _end_reasoning(self, end: ReasoningEnd, out: list[bytes]) -> None:
        """Send the whole block once: clients append the items of such a list."""
        text = "" if end.is_redacted else "".join(self._thoughts)
        self._thoughts.clear()
        block = thinking_block(Reasoning(text, end.proof, end.is_redacted))
        if block is not None:
            out.append(self._item("thinking_blocks", block))

    def _end(self, out: list[bytes]) -> None:
        self._is_over = True
        finish = self._finish or Finish("stop")
        if finish.service_tier not in (None, self._start.service_tier):  # known only now
            self._begin(replace(self._start, service_tier=finish.service_tier))
        for key, (is_input, pieces) in self._custom.items():
            text = "".join(pieces)
            input = {"input": text if is_input else custom_input(text)}
            call = {"index": self._indexes[key], "custom": input}
            out.append(self._chunk({"tool_calls": [call]}))
        without_arguments = self._indexes.keys() - self._with_arguments - self._custom.keys()
        # Clients parse the arguments, so there must be some.
        out += [self._call(key, {"arguments": "{}"}) for key in sorted(without_arguments)]
        out.append(self._chunk({}, REASONS[finish.reason]))
        if self._includes_usage and self._usage is not None:
            usage = _encode(write_usage(self._usage))
            out.append(b'%b,"choices":[],"usage":%b}\n\n' % (self._head, usage))
        out.append(b"data: [DONE]\n\n")
