"""The rhythm of a stream: every event in the bin of its time, in a fixed amount of memory."""

from __future__ import annotations

import random
import sys
from collections import Counter

from llm_mesh_middleware.observing import ClientRequest, Headers
from llm_mesh_middleware.testing import Stream, chat_stream
from llm_mesh_middleware.view._watching.rhythm import Rhythm
from tests.rows import rows
from tests.view.conftest import HOST, Watched

REQUEST = ClientRequest("POST", "/", Headers([]), host=HOST)


@rows(
    "times, bins, width_ms",
    [
        ([], (), 25),
        ([0], (1,), 25),
        ([0, 0.01, 0.024, 0.03], (3, 1), 25),
        ([0, 0.11], (1, 0, 0, 0, 1), 25),
        ([0, 1.19], (1, *[0] * 46, 1), 25),
        ([0, 0.03, 1.21], (2, *[0] * 23, 1), 50),
        ([0, 600], (1, *[0] * 45, 1), 12_800),
    ],
)
def test_events_are_counted_where_they_came(
    times: list[float], bins: tuple[int, ...], width_ms: float
) -> None:
    rhythm = Rhythm(100.0)
    for time in times:
        rhythm.add(1, 100.0 + time)
    assert (rhythm.bins(), rhythm.width_s * 1000) == (bins, width_ms)


@rows("seed", range(20))
def test_folding_loses_no_event_and_moves_none(seed: int) -> None:
    drawn, now = random.Random(seed), 0.0
    rhythm, came = Rhythm(0.0), []
    for _ in range(500):
        now += drawn.expovariate(drawn.choice((1, 30, 1000)))
        count = drawn.randrange(1, 4)
        rhythm.add(count, now)
        came += [now] * count
    bins = rhythm.bins()
    wanted = Counter(int(each / rhythm.width_s) for each in came)
    assert bins == tuple(wanted[at] for at in range(len(bins)))
    assert sum(bins) == len(came)


def test_a_stream_of_a_day_takes_no_more_than_one_of_a_second() -> None:
    short, long = Rhythm(0.0), Rhythm(0.0)
    short.add(1, 1.0)
    for hour in range(24):
        long.add(1000, 3600.0 * hour)
    assert sys.getsizeof(long._bins) == sys.getsizeof(short._bins)
    assert len(long.bins()) <= 48


def test_only_the_attempt_that_is_streamed_has_a_rhythm(watched: Watched) -> None:
    watched.hub.report()  # somebody looks
    watched.a.script(Stream(chat_stream(["one", "two", "three"])))
    watched.call(stream=True)
    watched.call()
    streamed, whole = watched.hub.report().calls
    [attempt] = streamed.attempts
    assert sum(attempt.rhythm) == streamed.events > 3
    assert attempt.bin_ms > 0
    assert [each.rhythm for each in whole.attempts] == [()]


def test_events_are_not_counted_while_nobody_looks(watched: Watched) -> None:
    clock = watched.hub.clock
    watched.call(stream=True)
    [call] = watched.hub.report().calls  # somebody looks
    assert (call.is_stream, [each.rhythm for each in call.attempts]) == (True, [()])
    assert watched.hub(REQUEST).wants_chunks
    watched.hub.clock = lambda: clock() + 60
    assert not watched.hub(REQUEST).wants_chunks


def test_events_are_not_counted_while_many_calls_are_under_way(watched: Watched) -> None:
    watched.hub.report()  # somebody looks
    under_way = [watched.hub(REQUEST) for _ in range(64)]
    watched.hub.open.update(under_way)
    assert not watched.hub(REQUEST).wants_chunks
    for each in under_way:
        each.ended(200, None, None)
    assert watched.hub(REQUEST).wants_chunks
