"""The short form of the log: time, level, and the most important fields of a call.

    2026-11-29 10:15:12 INFO    POST llm/v1/chat/completions 200 812 ms openai gpt-4.1 12+48 tokens
    2026-11-29 10:15:14 WARNING no virtual host 'lmm'; did you mean `llm`?

All fields of a call are in the longer forms.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from ..._telemetry.ending import Ending
from ..._telemetry.records.access_log import FIELDS, clean, is_clean
from ..._telemetry.records.direct import LineCall

__all__ = ["ShortFormatter"]

_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
_OF_STATUS = {2: "32", 4: "33", 5: "31"}
_COUNTED = ("prompt", "completion")
_Kind = tuple[str, str, str, str | None, str | None]
_MAX_KINDS = 256
_DATE, _TIME = "%Y-%m-%d %H:%M:%S", "%H:%M:%S"


class ShortFormatter(logging.Formatter):
    """A record as a short line; in colour, and without the date, for a terminal."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        """Format for a file, or for a terminal that shows colours."""
        super().__init__()
        self._is_terminal = is_terminal
        self._second, self._shown = math.inf, ""
        self._known: dict[_Kind, tuple[str, str]] = {}

    def call_line(self, call: LineCall, ending: Ending) -> str:
        """Return the line of a call, as `format` makes it of its record."""
        request, last, usage, error = call.request, call.last, ending.usage, ending.error_type
        provider, model = (None, request.model) if last is None else (last.provider, last.model)
        kind = request.method, request.host, request.path, provider, model
        target, called = self._known.get(kind) or self._texts(kind)
        line = _line(
            target,
            self._status(ending.status) if self._is_terminal else ending.status,
            (ending.at - call.started_at) * 1000,
            called,
            None if usage is None else (usage.input_tokens, usage.output_tokens),
            call.attempts,
            None if error is None or error == str(ending.status) else error,
        )
        return f"{self._time(time.time())} INFO    {line}"

    def _texts(self, kind: _Kind) -> tuple[str, str]:
        """Return what the lines of a kind of calls share: the target, and what was called."""
        method, host, path, provider, model = kind
        texts = f"{clean(method)} {host}{clean(path)}", _called(provider, model and clean(model))
        if is_clean(f"{method}{path}{model}"):  # clients choose these
            if len(self._known) >= _MAX_KINDS:
                self._known.clear()
            self._known[kind] = texts
        return texts

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
        if not 0.0 <= moment - self._second < 1.0:
            second = self._second = moment // 1.0
            shape = _TIME if self._is_terminal else _DATE
            self._shown = time.strftime(shape, time.localtime(second))
        return self._shown

    def _status(self, status: object) -> object:
        if self._is_terminal and isinstance(status, int) and status // 100 in _OF_STATUS:
            return f"\x1b[{_OF_STATUS[status // 100]}m{status}\x1b[0m"
        return status

    def _of_fields(self, fields: Mapping[str, Any]) -> str:
        if "method" not in fields:  # not a call, such as a mirror
            line = (f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
            return " ".join(line)
        status, error = fields.get("status"), fields.get("error_type")
        sent, received = (fields.get(f"request_{kind}_tokens") for kind in _COUNTED)
        return _line(
            f"{fields['method']} {fields.get('authority') or ''}{fields.get('path')}",
            self._status(status),
            fields.get("duration_ms"),
            _called(fields.get("provider"), fields.get("request_model")),
            None if sent is None and received is None else (sent or 0, received or 0),
            fields.get("attempts") or 1,
            error if error != str(status) else None,  # a provider's error may be just its status
        )


def _called(provider: str | None, model: str | None) -> str:
    return "".join(f" {name}" for name in (provider, model) if name)


def _line(
    target: str,
    status: object,
    duration_ms: float | None,
    called: str,
    tokens: tuple[int, int] | None,
    attempts: int,
    error: str | None,
) -> str:
    took = "" if duration_ms is None else f" {int(duration_ms + 0.5)} ms"
    used = "" if tokens is None else f" {tokens[0]}+{tokens[1]} tokens"
    line = f"{target} {'-' if status is None else status}{took}{called}{used}"
    if attempts > 1:
        line = f"{line} {attempts} attempts"
    return f"{line} {error}" if error else line
