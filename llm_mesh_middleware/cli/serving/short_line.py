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

from ..._core.values.usage import Usage
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

    def call_line(
        self,
        call: LineCall,
        at: float,
        status: int | None,
        usage: Usage | None,
        error_type: str | None,
    ) -> str:
        """Return the line of a call, as `format` makes it of its record; see `CallHandler`."""
        request, last = call.request, call.last
        provider, model = (None, request.model) if last is None else (last.provider, last.model)
        kind = request.method, request.host, request.path, provider, model
        target, called = self._known.get(kind) or self._texts(kind)
        shown = status if status is not None and not self._is_terminal else self._status(status)
        took_ms = int((at - call.started_at) * 1000 + 0.5)
        line = f"{self._time(time.time())} INFO    {target} {shown} {took_ms} ms{called}"
        if usage is not None:
            line = f"{line} {usage.input_tokens}+{usage.output_tokens} tokens"
        if error_type is None and call.attempts < 2:
            return line
        return line + _troubles(call.attempts, status, error_type)

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

    def _status(self, status: object) -> str:
        if self._is_terminal and isinstance(status, int) and status // 100 in _OF_STATUS:
            return f"\x1b[{_OF_STATUS[status // 100]}m{status}\x1b[0m"
        return "-" if status is None else str(status)

    def _of_fields(self, fields: Mapping[str, Any]) -> str:
        if "method" not in fields:  # not a call, such as a mirror
            line = (f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
            return " ".join(line)
        status, error, duration_ms = map(fields.get, ("status", "error_type", "duration_ms"))
        sent, received = (fields.get(f"request_{kind}_tokens") for kind in _COUNTED)
        target = f"{fields['method']} {fields.get('authority') or ''}{fields.get('path')}"
        took = "" if duration_ms is None else f" {int(duration_ms + 0.5)} ms"
        called = _called(fields.get("provider"), fields.get("request_model"))
        has_counts = sent is not None or received is not None
        used = f" {sent or 0}+{received or 0} tokens" if has_counts else ""
        troubles = _troubles(fields.get("attempts") or 1, status, error)
        return f"{target} {self._status(status)}{took}{called}{used}{troubles}"


def _called(provider: str | None, model: str | None) -> str:
    return "".join(f" {name}" for name in (provider, model) if name)


def _troubles(attempts: int, status: object, error: str | None) -> str:
    """Return the number of attempts, and the error, which of a provider may be just its status."""
    tried = f" {attempts} attempts" if attempts > 1 else ""
    return tried if error is None or error == str(status) else f"{tried} {error}"
