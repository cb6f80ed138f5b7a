"""Prompts and answers on spans and events: only where the operator has asked for them.

`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is the convention's own switch: NO_CONTENT (the
default), SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.trace import Span

from .._core.payload import Fields
from . import semconv

__all__ = ["ContentCapture", "Redact", "wanted_capture"]

_SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_TARGETS = {
    "SPAN_ONLY": frozenset(("span",)),
    "TRUE": frozenset(("span",)),
    "EVENT_ONLY": frozenset(("event",)),
    "SPAN_AND_EVENT": frozenset(("span", "event")),
}
_EVENT = "gen_ai.client.inference.operation.details"

Redact = Callable[[str], str]
Json = dict[str, Any]


def wanted_capture(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """`span` and `event`, as the convention's environment variable says."""
    return _TARGETS.get(environ.get(_SWITCH, "").strip().upper(), frozenset())


class ContentCapture:
    """Writes the messages of a call where they are wanted, through the owner's redaction."""

    def __init__(self, targets: frozenset[str], logger: Logger, redact: Redact | None) -> None:
        self.targets = targets
        self._logger = logger
        self._redact = redact or str

    def write(self, span: Span, fields: Fields, answer: bytes | None) -> None:
        """Add the request's and the answer's messages to `span`, to an event, or to both."""
        found = {}
        if "messages" in fields:
            found[semconv.INPUT_MESSAGES] = [self._message(m) for m in _items(fields["messages"])]
        if answer is not None:
            found[semconv.OUTPUT_MESSAGES] = [
                self._message(choice.get("message") or {})
                for choice in _object(answer).get("choices") or ()
            ]
        if "span" in self.targets:
            for name, messages in found.items():
                span.set_attribute(name, msgspec.json.encode(messages).decode())
        if "event" in self.targets:
            self._logger.emit(
                LogRecord(
                    event_name=_EVENT,
                    severity_number=SeverityNumber.INFO,
                    attributes=found,
                    context=trace.set_span_in_context(span),
                )
            )

    def _message(self, message: Json) -> Json:
        """A message in the convention's form: a role and parts."""
        parts: list[Json] = []
        content = message.get("content")
        if isinstance(content, str):
            parts.append({"type": "text", "content": self._redact(content)})
        elif isinstance(content, list):
            for part in content:
                kind = part.get("type", "text") if isinstance(part, dict) else "text"
                text = part.get("text", "") if isinstance(part, dict) else str(part)
                parts.append({"type": kind, "content": self._redact(str(text))})
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            parts.append(
                {
                    "type": "tool_call",
                    "id": call.get("id"),
                    "name": function.get("name"),
                    "arguments": self._redact(str(function.get("arguments", ""))),
                }
            )
        return {"role": message.get("role", "assistant"), "parts": parts}


def _items(raw: msgspec.Raw) -> list[Json]:
    try:
        items = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _object(body: bytes) -> Json:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
