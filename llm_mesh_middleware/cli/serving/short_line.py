"""The log as a person reads it: time, level, and of a call what is looked for first.

    2026-11-29 10:15:12 INFO    POST llm/v1/chat/completions 200 812 ms openai gpt-4.1 12+48 tokens
    2026-11-29 10:15:14 WARNING no virtual host 'lmm'; did you mean `llm`?

All fields of a call are in the longer forms.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from ..._telemetry.records.access_log import FIELDS

__all__ = ["ShortFormatter"]

_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
_OF_STATUS = {2: "32", 4: "33", 5: "31"}
_DATE, _TIME = "%Y-%m-%d %H:%M:%S", "%H:%M:%S"


class ShortFormatter(logging.Formatter):
    """A record as a short line; in colour, and without the date, for a terminal."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        """Format for a file, or for a terminal that shows colours."""
        super().__init__()
        self._is_terminal = is_terminal
        self._second, self._shown = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        name = record.levelname
        level = f"{name:<7}"
        if self._is_terminal and name in _COLOURS:
            level = f"\x1b[{_COLOURS[name]}m{level}\x1b[0m"
        fields = getattr(record, FIELDS, None)
        text = super().format(record) if fields is None else _told(fields, self._status)
        return f"{self.formatTime(record)} {level} {text}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time to the second, which is formatted once for all its records."""
        second = int(record.created)
        if second != self._second:
            shape = _TIME if self._is_terminal else _DATE
            self._shown = time.strftime(shape, time.localtime(second))
            self._second = second
        return self._shown

    def _status(self, status: object) -> str:
        if self._is_terminal and isinstance(status, int) and status // 100 in _OF_STATUS:
            return f"\x1b[{_OF_STATUS[status // 100]}m{status}\x1b[0m"
        return "-" if status is None else str(status)


def _told(fields: Mapping[str, object], show_status: Callable[[object], str]) -> str:
    if "method" not in fields:  # of something beside the calls, such as a mirror
        told = (f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
        return " ".join(told)
    duration, attempts = fields.get("duration_ms"), fields.get("attempts")
    status, error = fields.get("status"), fields.get("error_type")
    words = [
        f"{fields['method']} {fields.get('authority') or ''}{fields.get('path')}",
        show_status(status),
        f"{duration:.0f} ms" if isinstance(duration, (int, float)) else "",
        fields.get("provider"),
        fields.get("request_model"),
        _tokens(fields),
        f"{attempts} attempts" if isinstance(attempts, int) and attempts > 1 else "",
        error if error != str(status) else "",  # of a provider's error it is the status
    ]
    return " ".join(str(word) for word in words if word)


def _tokens(fields: Mapping[str, object]) -> str:
    sent, received = fields.get("request_prompt_tokens"), fields.get("request_completion_tokens")
    return "" if sent is None and received is None else f"{sent or 0}+{received or 0} tokens"
