"""One record per call on the logger `llm_mesh.access`: its client, its provider, its outcome.

Records have no content and no header values; text from a client is cut and escaped, so that it
cannot break a line.
"""

from __future__ import annotations

import json
import logging
import time
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
    "is_clean",
    "log_call",
]

access_logger = logging.getLogger("llm_mesh.access")

Value: TypeAlias = str | int | float | bool | None | list[str]

_MAX_TEXT = 256
FIELDS = "llm_mesh"


def clean(text: str) -> str:
    """Return `text` truncated, with unprintable characters escaped: it cannot forge a record."""
    cut = text[:_MAX_TEXT]
    return cut if cut.isprintable() else cut.encode("unicode_escape").decode("ascii")


def is_clean(text: str) -> bool:
    """Return whether `clean` returns `text`, or any part of it, as it is."""
    return len(text) <= _MAX_TEXT and text.isprintable()


def log_call(fields: Mapping[str, Value]) -> None:
    """Write the record; formatters find the fields on it."""
    # Not by `info`, which would look up the calling line of code.
    record = access_logger.makeRecord(
        access_logger.name, logging.INFO, "", 0, "llm call", (), None, extra={FIELDS: fields}
    )
    access_logger.handle(record)


class JSONFormatter(logging.Formatter):
    """Formats a record as one line of JSON: the fields of a call, or any other message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
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
    """Formats a record in logfmt: `field=value` for each field that is set."""

    _second = -1
    _shown = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: Mapping[str, Value] | None = getattr(record, FIELDS, None)
        kwargs = [self.formatTime(record)]
        if fields is None:
            exception = record.exc_info and self.formatException(record.exc_info)
            fields = {**_other(record), "exception": exception or None}
        for name, value in fields.items():
            if value is None or value == "":
                continue
            if isinstance(value, str):
                kwargs.append(f"{name}={_word(value)}")
            elif not isinstance(value, list):
                kwargs.append(f"{name}={value}")
            elif value:
                kwargs.append(f"{name}={_word(','.join(value))}")
        return " ".join(kwargs)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time as the standard library shows it; a second is formatted once."""
        second = int(record.created)
        if second != self._second:
            self._shown = time.strftime(self.default_time_format, time.localtime(second))
            self._second = second
        return f"{self._shown},{int(record.msecs):03}"


def _other(record: logging.LogRecord) -> dict[str, Value]:
    return {"level": record.levelname.lower(), "message": record.getMessage()}


def _word(text: str) -> str:
    """Return `text` as one word, in quotes where it would look like more than one."""
    if " " in text or "\n" in text or "=" in text or '"' in text:
        return json.dumps(text, ensure_ascii=False)
    return text
