"""python -m tests.benchmarks.guards: what the recognisers of personal data cost, in microseconds.

text of 1 KB     one text of a request, through the guard
body of 200 KB   one long text, as a document that is asked about
delta            one event of a stream, more than the same event without a guard
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from types import FrameType
from typing import NamedTuple

import msgspec

from llm_mesh_middleware._core.guarding.events.stream import GuardedStream
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.scanner import Scanner
from llm_mesh_middleware._core.guarding.window import Inspection, Window, inspect
from llm_mesh_middleware._dialects.openai_chat.dialect import DIALECT
from tests.benchmarks.child import probe_ms
from tests.benchmarks.report import verdict
from tests.benchmarks.results import Budget

__all__ = [
    "PROSE",
    "Cost",
    "calls_of",
    "costs",
    "feed_deltas",
    "feed_window",
    "guard_text",
    "words_of",
]

_ENTITIES = ("EMAIL", "CREDIT_CARD", "IBAN", "SECRET")  # those of a guard that names none
# Prose as people send it: numbers, dates, a mark of punctuation each few words; nothing to find.
PROSE = (
    "Please compare the two offers from 12 March: the first costs 1,299.00 EUR for 24 months, the"
    " second 1.049,50 EUR for 18. Delivery takes 3-5 days (see section 4.2). What would you"
    " recommend to a small team that has to decide by Friday, and why? "
)


class Cost(NamedTuple):
    """A measured cost, and the most that it may be, if that is said."""

    name: str
    us: float
    limit_us: float | None = None


def guard_text(text: str, entities: Iterable[str] = _ENTITIES) -> str:
    """Return what a guard of personal data leaves of a text."""
    return inspect(text, _inspection(tuple(entities)))


def feed_deltas(words: Iterable[str], entities: Iterable[str] = _ENTITIES) -> Callable[[], None]:
    """Return what sends each word as an event of its own through a guard."""
    events = [_delta(word) for word in words]
    inspection = _inspection(tuple(entities))

    def feed() -> None:
        stream = GuardedStream(DIALECT.texts, inspection)
        for each in events:
            stream.feed(each)

    return feed


def feed_window(words: Iterable[str], entities: Iterable[str] = _ENTITIES) -> Callable[[], None]:
    """Return what sends each word as a piece of one text through a guard."""
    pieces, inspection = tuple(words), _inspection(tuple(entities))

    def feed() -> None:
        window = Window(inspection)
        for each in pieces:
            window.feed(each)

    return feed


def words_of(text: str) -> list[str]:
    """Return a text in the pieces in which models write it."""
    return [f" {word}" for word in text.split()]


def calls_of(call: Callable[[], object]) -> int:
    """Return how many functions of Python and C a call takes."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    call()
    gc.disable()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def costs() -> list[Cost]:
    """Measure, the best of several rounds each."""
    kilobyte, body = (PROSE * 800)[:1024], (PROSE * 800)[: 200 * 1024]
    words = words_of(PROSE * 4)
    window = _best(feed_window(words), 20) - _best(feed_window(words, ()), 20)
    events = _best(feed_deltas(words), 20)
    bare = _best(feed_deltas(words, ()), 20)
    return [
        Cost("text of 1 KB", _best(lambda: guard_text(kilobyte), 500), 30),
        Cost("body of 200 KB", _best(lambda: guard_text(body), 5), 1000),
        Cost("delta", window / len(words), 3),
        Cost("event", events / len(words)),
        Cost("event without a guard that looks", bare / len(words)),
    ]


@cache
def _inspection(names: tuple[str, ...]) -> Inspection:
    """Return what a mesh makes once, when it reads its configuration."""
    if not names:
        return Inspection((), lambda *_: None, lambda *_: "")
    guard = Guard(
        policy="default/p",
        name="pii",
        scanner=Scanner.of_entities(names),
        action="mask",
        sides=frozenset(("request", "response")),
    )
    return Inspection((guard,), lambda *_: None, lambda _, entity, value: f"[{entity}]")


def _delta(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "logprobs": None, "finish_reason": None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: %b\n\n" % msgspec.json.encode(chunk)


def _best(call: Callable[[], object], count: int, rounds: int = 15) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time_ns()
        for _ in range(count):
            call()
        best = min(best, (time.process_time_ns() - begin) / count / 1000)
    return best


def main() -> None:
    """Print each cost, and the budget that it has."""
    for name, us, limit_us in costs():
        line = f"{name} {us:.1f} µs"
        if limit_us is not None:
            line = verdict(Budget(name, us, limit_us, "µs", probe_ms()))
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
