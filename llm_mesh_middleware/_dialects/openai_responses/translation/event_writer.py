"""Writes deltas as the events of a response.

Events are numbered. Items have the order in which they begin. Calls may interleave; a message or
reasoning ends when another item begins:

    item           begins with                         ends with
    message        output_item.added, part added       text done, part done, output_item.done
    reasoning      output_item.added, part added       text done, part done, output_item.done
    call           output_item.added                   arguments done, output_item.done
    custom call    output_item.added                   its whole input, input done, output_item.done
    image          output_item.added, in progress      completed, output_item.done
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
    LogprobsDelta,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArguments,
    ToolEnd,
    ToolStart,
    Usage,
)
from ...._core.conversation.parts import Image
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ...._core.http.sse import make_event
from ....exceptions import AnswerableError
from ...openai.logprobs import write_tokens
from ...translation.proofs import RESPONSES, seal
from ...translation.texts import custom_input, custom_names
from .answers import response_object, wants_proofs
from .hosted_items import CALL, image_item
from .namespaces import names_of

__all__ = ["ResponseEventWriter"]

_encode = msgspec.json.Encoder().encode
# Kind of fault -> the code of a response that failed.
_CODES = {"rate_limit": "rate_limit_exceeded"}
_OTHER_CODE = "server_error"


class _Item:
    """An item of the output so far; `pieces` is its text."""

    __slots__ = ("body", "index", "kind", "notes", "pieces", "tokens")

    def __init__(self, kind: str, index: int, body: dict[str, Any]) -> None:
        self.kind = kind
        self.index = index
        self.body = body
        self.pieces: list[str] = []
        self.notes: list[dict[str, Any]] = []
        self.tokens: list[dict[str, Any]] = []


class ResponseEventWriter:
    """Writes one answer."""

    def __init__(self, conversation: Conversation, stamp: Stamp) -> None:
        self._conversation = conversation
        self._stamp = stamp
        self._custom = custom_names(conversation)
        self._names = names_of(conversation.tools)
        self._wants_proofs = wants_proofs(conversation)
        self._number = 0
        self._start: Start | None = None
        self._items: list[_Item] = []
        self._open: _Item | None = None  # the message or the reasoning
        self._calls: dict[int, _Item] = {}
        self._raw_input: set[int] = set()
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._is_over = False
        self._tokens: list[dict[str, Any]] = []  # of the next text

    def write(self, deltas: Iterable[Delta]) -> bytes:
        """Return the events of deltas."""
        out: list[bytes] = []
        for delta in deltas:
            if self._is_over:
                break
            self._write(delta, out)
        return b"".join(out)

    def fail(self, error: AnswerableError) -> bytes:
        """Return the event of a response that failed."""
        out: list[bytes] = []
        self._fail(error.code, error.message, out)
        return b"".join(out)

    def _write(self, delta: Delta, out: list[bytes]) -> None:
        match delta:
            case TextDelta(text):
                item = self._opened("message", out)
                item.pieces.append(text)
                self._add_text(item, text, out)
            case ToolArguments(key, text):
                self._add_arguments(key, text, out)
            case ReasoningDelta(text):
                item = self._opened("reasoning", out)
                item.pieces.append(text)
                place = self._place(item) | {"summary_index": 0, "delta": text}
                self._event("response.reasoning_summary_text.delta", out, **place)
            case ReasoningEnd():
                self._end_reasoning(delta, out)
            case RefusalDelta(text):
                item = self._opened("refusal", out)
                item.pieces.append(text)
                place = self._place(item) | {"content_index": 0, "delta": text}
                self._event("response.refusal.delta", out, **place)
            case ToolStart():
                self._start_call(delta, out)
            case ToolEnd(key):
                if (call := self._calls.pop(key, None)) is not None:
                    self._close_call(key, call, out)
            case Image():
                self._add_image(delta, out)
            case CitationDelta(citation):
                if self._open is not None and self._open.kind == "message" and citation.url:
                    self._cite(self._open, {"url": citation.url, "title": citation.title}, out)
            case Start():
                self._begin(delta, out)
            case LogprobsDelta(tokens):
                self._tokens += write_tokens(tokens)
            case Usage():
                self._usage = delta.after(self._usage)
            case Finish():
                self._finish = delta
            case Failed(fault):
                self._fail(_CODES.get(fault.kind, _OTHER_CODE), fault.message, out)
            case End():
                self._end(out)

    def _event(self, type: str, out: list[bytes], **members: Any) -> None:
        data = {"type": type, "sequence_number": self._number, **members}
        self._number += 1
        out.append(make_event(_encode(data), name=type.encode()))

    def _add_text(self, item: _Item, text: str, out: list[bytes]) -> None:
        if not self._tokens:
            out.append(self._text_delta(item, text))
            return
        tokens, self._tokens = self._tokens, []
        item.tokens += tokens
        place = self._place(item) | {"content_index": 0, "delta": text, "logprobs": tokens}
        self._event("response.output_text.delta", out, **place)

    def _text_delta(self, item: _Item, text: str) -> bytes:
        """Return the most common event; no dict is made for it."""
        number, self._number = self._number, self._number + 1
        return (
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
            b'"sequence_number":%d,"item_id":"%b","output_index":%d,"content_index":0,'
            b'"delta":%b,"logprobs":[]}\n\n'
            % (number, item.body["id"].encode(), item.index, _encode(text))
        )

    def _response(self, finish: Finish | None = None) -> dict[str, Any]:
        start = self._start or Start()
        tier = start.service_tier
        return response_object(
            self._conversation,
            self._stamp,
            id=start.id,
            model=start.model,
            output=[item.body for item in self._items] if finish else None,
            finish=None if finish is None else finish.reason,
            usage=self._usage if finish else None,
            service_tier=tier if finish is None else finish.service_tier or tier,
        )

    def _begin(self, start: Start, out: list[bytes]) -> None:
        if self._start is not None:
            return
        self._start = start
        self._usage = start.usage
        response = self._response()
        self._event("response.created", out, response=response)
        self._event("response.in_progress", out, response=response)

    def _place(self, item: _Item) -> dict[str, Any]:
        return {"item_id": item.body["id"], "output_index": item.index}

    def _add_item(self, kind: str, prefix: str, body: dict[str, Any], out: list[bytes]) -> _Item:
        self._begin(Start(), out)
        index = len(self._items)
        item = _Item(kind, index, {"id": self._stamp.id(prefix, index)} | body)
        self._items.append(item)
        self._event("response.output_item.added", out, output_index=index, item=item.body)
        return item

    def _opened(self, kind: str, out: list[bytes]) -> _Item:
        """Return the open item of a kind; an item of another kind is closed."""
        if self._open is not None and self._open.kind == kind:
            return self._open
        self._close_open(out)
        if kind == "reasoning":
            item = self._add_item(kind, "rs_", {"type": "reasoning", "summary": []}, out)
            place = self._place(item) | {"summary_index": 0}
            part = {"type": "summary_text", "text": ""}
            self._event("response.reasoning_summary_part.added", out, **place, part=part)
        else:
            body = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
            item = self._add_item(kind, "msg_", body, out)
            place = self._place(item) | {"content_index": 0}
            self._event("response.content_part.added", out, **place, part=_part(item))
        self._open = item
        return item

    def _close_open(self, out: list[bytes]) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        text = "".join(item.pieces)
        if item.kind == "reasoning":
            place = self._place(item) | {"summary_index": 0}
            part = {"type": "summary_text", "text": text}
            self._event("response.reasoning_summary_text.done", out, **place, text=text)
            self._event("response.reasoning_summary_part.done", out, **place, part=part)
            item.body = item.body | {"summary": [part]}
        else:
            place, part = self._place(item) | {"content_index": 0}, _part(item, text)
            if item.kind == "refusal":
                self._event("response.refusal.done", out, **place, refusal=text)
            else:
                done = {"text": text, "logprobs": item.tokens}
                self._event("response.output_text.done", out, **place, **done)
            self._event("response.content_part.done", out, **place, part=part)
            item.body = item.body | {"status": "completed", "content": [part]}
        self._event("response.output_item.done", out, output_index=item.index, item=item.body)

    def _end_reasoning(self, end: ReasoningEnd, out: list[bytes]) -> None:
        item = self._open if self._open is not None and self._open.kind == "reasoning" else None
        sealed: dict[str, Any] = {}
        if end.proof is not None and self._wants_proofs:
            value = seal(end.proof, native=RESPONSES, is_redacted=end.is_redacted)
            sealed = {"encrypted_content": value}
        if item is not None and not end.is_redacted:
            item.body = item.body | sealed
            self._close_open(out)
        elif sealed:  # a proof without a text
            self._close_open(out)
            body = {"type": "reasoning", "summary": []} | sealed
            item = self._add_item("proof", "rs_", body, out)
            self._event("response.output_item.done", out, output_index=item.index, item=item.body)

    def _cite(self, item: _Item, cited: dict[str, Any], out: list[bytes]) -> None:
        end = sum(map(len, item.pieces))
        note = {"type": "url_citation", "start_index": 0, "end_index": end} | cited
        place = self._place(item) | {"content_index": 0, "annotation_index": len(item.notes)}
        item.notes.append(note)
        self._event("response.output_text.annotation.added", out, **place, annotation=note)

    def _add_image(self, image: Image, out: list[bytes]) -> None:
        self._close_open(out)
        if image.proof is not None:
            self._end_reasoning(ReasoningEnd(image.proof), out)
        if not image.data:
            return
        begun = {"type": CALL, "status": "in_progress", "result": None}
        item = self._add_item("image", "ig_", begun, out)
        place = self._place(item)
        for step in ("in_progress", "generating", "completed"):
            self._event(f"response.{CALL}.{step}", out, **place)
        item.body = image_item(image, item.body["id"])
        self._event("response.output_item.done", out, output_index=item.index, item=item.body)

    def _start_call(self, start: ToolStart, out: list[bytes]) -> None:
        self._close_open(out)
        if start.proof is not None:
            self._end_reasoning(ReasoningEnd(start.proof), out)
        named = self._names.get(start.name) or {"name": start.name}
        body: dict[str, Any] = {"call_id": start.id, **named}
        if start.is_custom or start.name in self._custom:
            body = {"type": "custom_tool_call", **body, "input": ""}
            item = self._add_item("custom", "ctc_", body, out)
        else:
            body = {"type": "function_call", **body, "arguments": "", "status": "in_progress"}
            item = self._add_item("call", "fc_", body, out)
        if start.is_custom:
            self._raw_input.add(start.key)
        self._calls[start.key] = item

    def _add_arguments(self, key: int, text: str, out: list[bytes]) -> None:
        item = self._calls.get(key)
        if item is None or not text:
            return
        item.pieces.append(text)
        if item.kind == "call":
            place = self._place(item) | {"delta": text}
            self._event("response.function_call_arguments.delta", out, **place)

    def _close_call(self, key: int, item: _Item, out: list[bytes]) -> None:
        text, place = "".join(item.pieces), self._place(item)
        if item.kind == "custom":
            input = text if key in self._raw_input else custom_input(text)
            self._event("response.custom_tool_call_input.delta", out, **place, delta=input)
            self._event("response.custom_tool_call_input.done", out, **place, input=input)
            item.body = item.body | {"input": input}
        else:
            done = {"arguments": text or "{}", "name": item.body["name"]}
            self._event("response.function_call_arguments.done", out, **place, **done)
            item.body = item.body | {"arguments": text or "{}", "status": "completed"}
        self._event("response.output_item.done", out, output_index=item.index, item=item.body)

    def _end(self, out: list[bytes]) -> None:
        self._begin(Start(), out)
        self._close_open(out)
        for key, call in self._calls.items():
            self._close_call(key, call, out)
        response = self._response(self._finish or Finish("stop"))
        self._is_over = True
        self._event(f"response.{response['status']}", out, response=response)

    def _fail(self, code: str, message: str, out: list[bytes]) -> None:
        self._is_over = True
        if self._start is None:
            data = {"code": code, "message": message, "param": None}
            self._event("error", out, **data)
            return
        response = self._response() | {
            "status": "failed",
            "error": {"code": code, "message": message},
            "output": [item.body for item in self._items],
        }
        self._event("response.failed", out, response=response)


def _part(item: _Item, text: str = "") -> dict[str, Any]:
    """Return the one part of a message."""
    if item.kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": item.notes, "logprobs": item.tokens}
