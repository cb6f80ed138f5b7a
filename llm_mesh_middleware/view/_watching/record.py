"""The records of calls that have ended: what viewers read of them, and why each attempt was made.

Structs of many fields get them by position: by name they take five times as long to make.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from ..._core.dialect import ServedOperation
from ..._core.pricing.charge import format_costs
from ..._core.values.operations import Operation
from ..values import Attempt, Call
from .notes import ABANDONED, UNUSABLE, EndedCall, MadeAttempt

__all__ = ["Records", "choose"]

_MAX_CALLS = 500

Ended = TypeVar("Ended", EndedCall, Call)


def choose(calls: Sequence[Ended], most: int) -> list[Ended]:
    """Return at most `most` of the calls, in their order, of which nobody could read all.

    Those that failed or took several attempts come before others, and newer ones before older.
    """
    if len(calls) <= most:
        return list(calls)
    telling = {each for each, call in enumerate(calls) if call.error or len(call.attempts) > 1}
    by_worth = sorted(range(len(calls)), key=lambda each: (each in telling, each))
    return [calls[each] for each in sorted(by_worth[-most:])]


class Records:
    """The last records of one process; its owner holds a lock around each use.

    Calls are numbered from 1, also those that are left out; `last` is the newest number.
    """

    def __init__(self, worker: int) -> None:
        """`worker` begins the ids, which are unique across the processes of a server."""
        self.last = 0
        self._worker = worker
        self._calls: deque[tuple[int, Call]] = deque(maxlen=_MAX_CALLS)

    def add(self, ended: Sequence[EndedCall], most: int) -> None:
        """Record at most so many of the calls that have ended."""
        chosen = choose(ended, most)
        self.last += len(ended) - len(chosen)
        for each in chosen:
            self.last += 1
            self._calls.append((self.last, _record(each, f"{self._worker}.{self.last}")))

    def after(self, number: int) -> list[Call]:
        """Return the calls with a higher number."""
        return [call for each, call in self._calls if each > number]


def _record(ended: EndedCall, name: str) -> Call:
    begun_at = ended.begun_at
    first_at = None if ended.served is None else ended.served.first_at
    route, rule, lacks_sticky_key = None, None, False
    if (selection := ended.selection) is not None:
        route, rule = selection.route, selection.rule
        lacks_sticky_key = selection.lacks_sticky_key
    input_tokens, output_tokens = 0, 0
    if (usage := ended.usage) is not None:
        input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    return Call(
        name,
        int(ended.at * 1000) / 1000,
        ended.host,
        _milliseconds(ended.ended_at - begun_at),
        route,
        rule,
        *_names(ended.operation),
        ended.status,
        ended.error,
        ended.error == ABANDONED,
        first_at is not None,
        None if first_at is None else _milliseconds(first_at - begun_at),
        ended.events,
        input_tokens,
        output_tokens,
        ended.model,
        ended.consumer,
        lacks_sticky_key,
        ended.trace_id,
        ended.facts,
        tuple([_attempt(ended, index) for index in range(len(ended.attempts))]),
        (format_costs(ended.charges) or None) if ended.charges else None,
        ended.decisions,
    )


@lru_cache(maxsize=64)
def _names(operation: Operation | None) -> tuple[str | None, str | None, str | None]:
    """Return the operation's name, the end of its path and its dialect."""
    if operation is None:
        return None, None, None
    dialect = operation.dialect.name if isinstance(operation, ServedOperation) else None
    return operation.name, operation.client_suffix or operation.suffix, dialect


def _attempt(ended: EndedCall, index: int) -> Attempt:
    made, rhythm = ended.attempts[index], ended.attempts[index].rhythm
    kind, why = _reason(made, ended.attempts[index - 1]) if index else _first(made)
    ended_at = ended.ended_at if made.ended_at is None else made.ended_at
    return Attempt(
        made.number,
        made.provider,
        made.host,
        kind,
        why,
        _milliseconds(made.begun_at - ended.begun_at),
        _milliseconds(ended_at - made.begun_at),
        made.model,
        made.status,
        made.error,
        made is ended.served,
        made.is_cancelled,
        made.dropped,
        made.dialect,
        () if rhythm is None else rhythm.bins(),
        0.0 if rhythm is None else _milliseconds(rhythm.width_s),
    )


def _first(made: MadeAttempt) -> tuple[str, str]:
    if made.host == made.preferred_host or not made.preferred_host:
        return "first", "the rule's choice"
    return "first", f"{made.preferred_host} is out of service"


def _reason(made: MadeAttempt, before: MadeAttempt) -> tuple[str, str]:
    if before.answered_at is None or before.answered_at > made.begun_at:
        return "hedge", f"attempt {before.number} had not answered yet"
    ending = f"attempt {before.number} ended with {before.error or UNUSABLE}"
    return "retry" if before.host == made.host else "fallback", ending


def _milliseconds(seconds: float) -> float:
    """Return a duration with one decimal, in a tenth of the time that `round` takes."""
    return int(seconds * 10_000 + 0.5) / 10
