"""The short form of the log: time, level, and the most important fields of a call.

    2026-11-29 10:15:12 INFO    POST llm/v1/chat/completions 200 812 ms openai gpt-4.1 12+48 tokens
    2026-11-29 10:15:14 WARNING no virtual host 'lmm'; did you mean `llm`?

All fields of a call are in the longer forms.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from ..._telemetry.ending import Ending
from ..._telemetry.progress import CallProgress
from ..._telemetry.records.access_log import FIELDS, clean, is_clean

__all__ = ["ShortFormatter"]

_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
_OF_STATUS = {2: "32", 4: "33", 5: "31"}
_COUNTED = ("prompt", "completion")
_DATE, _TIME = "%Y-%m-%d %H:%M:%S", "%H:%M:%S"


class ShortFormatter(logging.Formatter):
    """A record as a short line; in colour, and without the date, for a terminal."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        """Format for a file, or for a terminal that shows colours."""
        super().__init__()
        self._is_terminal = is_terminal
        self._second, self._shown = -1, ""

    def call_line(self, progress: CallProgress, ending: Ending) -> str:
        """Return the line of a call, as `format` makes it of its record."""
        request, last, usage = progress.request, progress.last, ending.usage
        method, path = request.method, request.path
        model = request.model if last is None else last.model
        if not is_clean(f"{method}{path}{model}"):  # the three at once, as nearly all are
            method, path, model = clean(method), clean(path), model and clean(model)
        error = ending.error_type
        if error is not None and error == str(ending.status):
            error = None
        line = _line(
            method,
            request.host + path,
            self._status(ending.status),
            (ending.at - progress.started_at) * 1000,
            None if last is None else last.provider,
            model,
            None if usage is None else (usage.input_tokens, usage.output_tokens),
            progress.attempts,
            error,
        )
        return f"{self._time(time.time())} INFO    {line}"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        name = record.levelname
        level = f"{name:<7}"
        if self._is_terminal and name in _COLOURS:
            level = f"\x1b[{_COLOURS[name]}m{level}\x1b[0m"
        fields = getattr(record, FIELDS, None)
        text = super().format(record) if fields is None else self._of_fields(fields)
        return f"{self.formatTime(record)} {level} {text}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time to the second, which is formatted once for all its records."""
        return self._time(record.created)

    def _time(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            shape = _TIME if self._is_terminal else _DATE
            self._shown = time.strftime(shape, time.localtime(second))
            self._second = second
        return self._shown

    def _status(self, status: object) -> str:
        if self._is_terminal and isinstance(status, int) and status // 100 in _OF_STATUS:
            return f"\x1b[{_OF_STATUS[status // 100]}m{status}\x1b[0m"
        return "-" if status is None else str(status)

    def _of_fields(self, fields: Mapping[str, Any]) -> str:
        if "method" not in fields:  # not a call, such as a mirror
            line = (f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
            return " ".join(line)
        status, error = fields.get("status"), fields.get("error_type")
        sent, received = (fields.get(f"request_{kind}_tokens") for kind in _COUNTED)
        return _line(
            fields["method"],
            f"{fields.get('authority') or ''}{fields.get('path')}",
            self._status(status),
            fields.get("duration_ms"),
            fields.get("provider"),
            fields.get("request_model"),
            None if sent is None and received is None else (sent or 0, received or 0),
            fields.get("attempts") or 1,
            error if error != str(status) else None,  # a provider's error may be just its status
        )


def _line(
    method: str,
    place: str,
    status: str,
    duration_ms: float | None,
    provider: str | None,
    model: str | None,
    tokens: tuple[int, int] | None,
    attempts: int,
    error: str | None,
) -> str:
    line = f"{method} {place} {status}"
    if duration_ms is not None:
        line = f"{line} {int(duration_ms + 0.5)} ms"
    if provider:
        line = f"{line} {provider}"
    if model:
        line = f"{line} {model}"
    if tokens is not None:
        line = f"{line} {tokens[0]}+{tokens[1]} tokens"
    if attempts > 1:
        line = f"{line} {attempts} attempts"
    return f"{line} {error}" if error else line
