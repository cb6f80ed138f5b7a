"""One record per call on the logger `llm_mesh.access`: who was served by whom, and how it ended.

No content and no header values; text that a client chose is bounded and cannot break a line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

__all__ = [
    "FIELDS",
    "JSONFormatter",
    "LineFormatter",
    "Value",
    "access_logger",
    "clean",
    "log_call",
]

access_logger = logging.getLogger("llm_mesh.access")

Value: TypeAlias = str | int | float | bool | None | list[str]

_MAX_TEXT = 256
FIELDS = "llm_mesh"


def clean(text: str) -> str:
    """`text` within bounds, unprintable characters escaped: nobody forges a second record."""
    cut = text[:_MAX_TEXT]
    return cut if cut.isprintable() else cut.encode("unicode_escape").decode("ascii")


def log_call(fields: Mapping[str, Value]) -> None:
    """Write the record; formatters find the fields on it."""
    access_logger.info("llm call", extra={FIELDS: fields})


class JSONFormatter(logging.Formatter):
    """A record as one line of JSON: the fields of a call, or any other record's message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
        }
        fields = getattr(record, FIELDS, None)
        if fields is not None:
            line |= fields
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class LineFormatter(logging.Formatter):
    """A record as one line for a person: `field=value` of what is known of a call."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = getattr(record, FIELDS, None)
        if fields is None:
            return super().format(record)
        shown = " ".join(f"{k}={_word(v)}" for k, v in fields.items() if v not in (None, [], ""))
        return f"{self.formatTime(record)} {shown}"


def _word(value: object) -> str:
    """`value` as one word; in quotes where it would look like more than one."""
    text = ",".join(value) if isinstance(value, list) else str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(' ="') else text
