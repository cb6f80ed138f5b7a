"""Joins the parts of a stream's choices.

    part of a choice    becomes
    delta               merged into the message (`merging`)
    message             fills in members that the deltas lack; the last one counts
    text, logprobs      joined
    any other member    set; lists grow

A choice is identified by its index, otherwise by its position in the event. Some providers count
tokens in the index instead, which `counts_tokens` detects.
"""

from __future__ import annotations

from typing import Any

from .item_identity import Json, index_of
from .merging import Items, append, merge

__all__ = ["JoinedChoices", "NoChoice"]


class NoChoice(ValueError):
    """A part of a choice has a delta that is not an object."""


class JoinedChoices:
    """The choices of one stream.

    Args:
        is_single: All parts belong to one choice.
    """

    __slots__ = ("_choices", "_highest", "_is_ascending", "_is_single")

    def __init__(self, *, is_single: bool = False) -> None:
        self._choices: dict[int, _Choice] = {}
        self._is_single = is_single
        self._is_ascending = True
        self._highest = 0

    def __bool__(self) -> bool:
        return bool(self._choices)

    @property
    def are_finished(self) -> bool:
        """Whether every choice has its finish reason."""
        return all(choice.is_finished for choice in self._choices.values())

    @property
    def counts_tokens(self) -> bool:
        """Whether the indexes number the parts of one choice: they rise, and only one has ended."""
        if self._is_single or not self._is_ascending:
            return False
        first, *others = [choice.is_finished for choice in self._choices.values()] or [True]
        return not first and others.count(True) == 1

    def take(self, parts: object) -> None:
        """Add the `choices` of an event; items that are not objects are skipped.

        Raises:
            NoChoice: a part of them cannot be read.
        """
        for position, part in enumerate(parts if isinstance(parts, list) else ()):
            if isinstance(part, dict):
                index = index_of(part.pop("index", None))
                self._at(position if index is None else index).take(part)

    def plain(self) -> list[Json]:
        """Return the choices in the JSON form."""
        return [self._choices[index].plain(index) for index in sorted(self._choices)]

    def _at(self, index: int) -> _Choice:
        if self._is_single:
            index = 0
        self._is_ascending = self._is_ascending and index >= self._highest
        self._highest = index
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        return choice


class _Choice:
    __slots__ = ("_logprobs", "_members", "_message", "_whole")

    def __init__(self) -> None:
        self._members: Json = {}
        self._logprobs: Json | None = None
        self._message: Json | None = None
        self._whole: Json | None = None

    @property
    def is_finished(self) -> bool:
        return bool(self._members.get("finish_reason"))

    def take(self, part: Json) -> None:
        """Take a part without its index."""
        delta, message = part.pop("delta", None), part.pop("message", None)
        if delta is not None:
            if not isinstance(delta, dict):
                raise NoChoice
            self._message = {} if self._message is None else self._message
            merge(self._message, delta)
        if isinstance(message, dict):
            self._whole = {} if self._whole is None else self._whole
            append(self._whole, message)
        if isinstance(part.get("logprobs"), dict):
            self._logprobs = {} if self._logprobs is None else self._logprobs
            append(self._logprobs, part.pop("logprobs"))
        if "text" in part:
            merge(self._members, {"text": part.pop("text")})
        append(self._members, part)

    def plain(self, index: int) -> Json:
        """Return the choice: `content` is always there, tool calls are without `index`."""
        choice = {"index": index, **self._members}
        message = self._message
        if self._whole is not None:
            message = message or {}
            message.update((k, v) for k, v in self._whole.items() if v and not message.get(k))
        if message is not None:
            choice["message"] = _finished(message)
        if self._logprobs is not None:
            choice["logprobs"] = self._logprobs
        choice.setdefault("logprobs", None)
        return choice


def _finished(message: Json) -> Json:
    message["role"] = message.get("role") or "assistant"
    message.setdefault("content", None)
    calls = message.get("tool_calls")
    if isinstance(calls, Items):
        message["tool_calls"] = [_finished_call(call) for call in calls.plain()]
    return message


def _finished_call(call: Any) -> Any:
    if not isinstance(call, dict):
        return call
    finished = {name: value for name, value in call.items() if name != "index"}
    function = finished.get("function")
    if isinstance(function, dict):
        finished["type"] = finished.get("type") or "function"
        if function.get("arguments") is None:
            function["arguments"] = ""
    return finished
