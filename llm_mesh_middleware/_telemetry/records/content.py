"""Prompts and responses on spans and events, only if the operator has enabled it.

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

from ..._core.conversation.content import CalledTool, Message, Part
from ..._core.dialect import ServedOperation
from ..._core.values.messages import ClientRequest
from ..._core.values.summary import AnswerSummary
from .. import semconv

__all__ = ["ContentCapture", "Redact", "is_details_event_enabled", "capture_targets"]

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


def capture_targets(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the targets of content that the environment selects: `span`, `event`."""
    return _TARGETS.get(environ.get(_SWITCH, "").strip().upper(), frozenset())


def is_details_event_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether an event with a call's details is emitted; by default only with content."""
    switch = environ.get(_EMIT_EVENT, "").strip().lower()
    return switch == "true" or (switch != "false" and "event" in capture_targets(environ))


class ContentCapture:
    """Writes the messages of a call to its span, to an event, or to both, redacted."""

    def __init__(
        self, targets: frozenset[str], logger: Logger, redact: Redact | None, *, emits: bool
    ) -> None:
        """`emits` enables the event with a call's details; it has content if that is a target."""
        self.targets = targets if emits else targets - {"event"}
        self.emits = emits
        self.is_wanted = emits or bool(self.targets)
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
        operation = request.operation
        if not isinstance(operation, ServedOperation):
            return {}
        found: dict[str, Any] = {}
        content = operation.dialect.read_request_content(request.fields)
        if content.messages is not None:
            found[semconv.INPUT_MESSAGES] = list(map(self._message, content.messages))
        if content.tools is not None:
            found[semconv.TOOLS] = list(map(self._redacted, content.tools))
        if content.instructions is not None:
            found[semconv.SYSTEM_INSTRUCTIONS] = list(map(self._part, content.instructions))
        if summary is not None and summary.body is not None:
            messages = operation.dialect.read_messages(summary.body)
            found[semconv.OUTPUT_MESSAGES] = list(map(self._message, messages))
        return found

    def _message(self, message: Message) -> Json:
        """Return a message in the convention's form: a role and parts."""
        return {"role": message.role, "parts": list(map(self._part, message.parts))}

    def _part(self, part: Part | CalledTool) -> Json:
        """Return a text or tool call with its content, an image or a sound only as its type."""
        if isinstance(part, CalledTool):
            arguments = self._redact(part.arguments)
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}
        if part.text is None:
            return {"type": part.kind}
        return {"type": part.kind, "content": self._redact(part.text)}

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {key: self._redacted(item) for key, item in value.items()}
        return list(map(self._redacted, value)) if isinstance(value, list) else value
