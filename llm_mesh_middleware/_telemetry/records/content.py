"""Prompts and responses on spans and events, only if the operator has switched that on.

`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is the convention's own switch: NO_CONTENT (the
default), SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT. `OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT` emits the
event without content too, or never.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import Span

from ..._core.dialect import ServedOperation
from ..._core.values.messages import ClientRequest
from ..._core.values.summary import AnswerSummary
from .. import semconv

__all__ = ["ContentCapture", "Redact", "is_event_wanted", "wanted_capture"]

_SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
_TARGETS = {
    "SPAN_ONLY": frozenset(("span",)),
    "TRUE": frozenset(("span",)),
    "EVENT_ONLY": frozenset(("event",)),
    "SPAN_AND_EVENT": frozenset(("span", "event")),
}

Redact = Callable[[str], str]
Json = dict[str, Any]


def wanted_capture(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the targets of content, `span` and `event`, as the environment says."""
    return _TARGETS.get(environ.get(_SWITCH, "").strip().upper(), frozenset())


def is_event_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the event with a call's details is emitted; by default only with content."""
    switch = environ.get(_EMIT_EVENT, "").strip().lower()
    return switch == "true" or (switch != "false" and "event" in wanted_capture(environ))


class ContentCapture:
    """Writes the messages of a call to its span, to an event, or to both, redacted."""

    def __init__(
        self, targets: frozenset[str], logger: Logger, redact: Redact | None, *, emits: bool
    ) -> None:
        """`emits`: there is an event with a call's details, with content if that is a target."""
        self.targets = targets if emits else targets - {"event"}
        self.emits = emits
        self._logger = logger
        self._redact = redact or str

    def write(
        self, span: Span, context: Context, request: ClientRequest, summary: AnswerSummary | None
    ) -> None:
        """Add the messages of the request and the response to `span`, to an event, or to both."""
        found = self._read(request, summary) if self.targets else {}
        known = dict(getattr(span, "attributes", None) or {})  # before content is among them
        if "span" in self.targets and span.is_recording():
            for name, messages in found.items():
                span.set_attribute(name, msgspec.json.encode(messages).decode())
        if self.emits:
            if "event" in self.targets:
                known |= found
            self._logger.emit(
                LogRecord(
                    event_name=semconv.EVENT_DETAILS,
                    severity_number=SeverityNumber.INFO,
                    attributes=known,
                    context=context,
                )
            )

    def _read(self, request: ClientRequest, summary: AnswerSummary | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in ((semconv.INPUT_MESSAGES, "messages"), (semconv.TOOLS, "tools")):
            if member in request.fields:
                found[name] = _objects(_decoded(request.fields[member]))
        for member in ("input", "prompt"):  # responses and embeddings; text completions
            if member not in request.fields:
                continue
            given = _decoded(request.fields[member])
            if not isinstance(given, dict):  # an object only names a prompt that the provider keeps
                found[semconv.INPUT_MESSAGES] = _as_messages(given)
        for member in ("instructions", "system"):  # responses; messages
            if member in request.fields:
                given = _decoded(request.fields[member])
                pieces = given if isinstance(given, list) else [given]
                parts = [self._part(piece) for piece in pieces if piece is not None]
                found[semconv.SYSTEM_INSTRUCTIONS] = parts
        if semconv.INPUT_MESSAGES in found:
            found[semconv.INPUT_MESSAGES] = list(map(self._message, found[semconv.INPUT_MESSAGES]))
        if semconv.TOOLS in found:
            found[semconv.TOOLS] = [self._redacted(tool) for tool in found[semconv.TOOLS]]
        operation = request.operation
        body = summary.body if summary is not None else None
        if isinstance(operation, ServedOperation) and body is not None:
            messages = operation.dialect.read_messages(body)
            found[semconv.OUTPUT_MESSAGES] = list(map(self._message, messages))
        return found

    def _message(self, message: Json) -> Json:
        """Return a message in the convention's form: a role and parts."""
        content = message.get("content")
        pieces = content if isinstance(content, list) else [content]
        parts = [self._part(piece) for piece in pieces if piece is not None]
        for call in _objects(message.get("tool_calls")):
            named = call.get("function")
            function = named if isinstance(named, dict) else {}
            parts.append(
                {
                    "type": "tool_call",
                    "id": call.get("id"),
                    "name": function.get("name"),
                    "arguments": self._redact(str(function.get("arguments", ""))),
                }
            )
        return {"role": str(message.get("role", "assistant")), "parts": parts}

    def _part(self, piece: Any) -> Json:
        """Return a text as it is; of an image or a sound only that there was one."""
        if not isinstance(piece, dict):
            return {"type": "text", "content": self._redact(str(piece))}
        kind, text = piece.get("type", "text"), piece.get("text")
        if isinstance(text, str):
            kind = "text" if kind in ("input_text", "output_text") else kind
            return {"type": str(kind), "content": self._redact(text)}
        return {"type": str(kind)}

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {key: self._redacted(item) for key, item in value.items()}
        return list(map(self._redacted, value)) if isinstance(value, list) else value


def _as_messages(given: Any) -> list[Json]:
    """Return a text, texts, or items like messages as messages."""
    items = given if isinstance(given, list) else [given]
    return [i if isinstance(i, dict) else {"role": "user", "content": str(i)} for i in items]


def _objects(items: Any) -> list[Json]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _decoded(text: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
