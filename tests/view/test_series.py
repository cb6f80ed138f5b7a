"""Counts by second and histograms: sums over windows, bounded errors, bounded memory."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest

from llm_mesh_middleware.view._watching.series import SECONDS, Histogram, Ring, quantile
from tests.rows import rows


def test_a_window_has_the_whole_seconds_before_now() -> None:
    ring = Ring()
    for second in (100, 101, 101, 104, 105):
        ring.add(second, calls=1, tokens=10)
    assert ring.sums(105, 5) == (4, 0, 40)
    assert ring.sums(105, 1) == (1, 0, 10)
    assert ring.sums(106, 1) == (1, 0, 10)
    assert ring.sums(200, 5) == (0, 0, 0)


@rows("seed", range(5))
def test_a_ring_agrees_with_a_count_of_everything(seed: int) -> None:
    drawn, ring, seen = random.Random(seed), Ring(), Counter[int]()
    second = 1000
    for _ in range(1000):
        second += drawn.choice((0, 0, 1, 1, 2, 7, 150, 400))
        ring.add(second, calls=1, errors=drawn.random() < 0.5)
        seen[second] += 1
        window = drawn.randrange(1, SECONDS)
        wanted = sum(seen[each] for each in range(second - window, second))
        assert ring.sums(second, window)[0] == wanted
        assert ring.whole(second) == ring.sums(second, SECONDS - 1)


def test_what_is_counted_too_late_for_the_ring_is_left_out() -> None:
    ring = Ring()
    ring.add(1000, calls=1)
    ring.add(1001 - SECONDS, calls=2)
    ring.add(1000 - SECONDS, calls=4)
    assert sum(row[1] for row in ring.rows(1000)) == 2
    assert ring.whole(1001) == (1, 0, 0)


@rows("seed", range(5))
def test_a_quantile_is_the_first_bucket_that_so_many_are_up_to(seed: int) -> None:
    drawn, histogram = random.Random(seed), Histogram()
    for _ in range(drawn.randrange(1, 50)):
        histogram.add(50, drawn.expovariate(3))
    counts, part = histogram.counts(50), drawn.random()
    bucket = next(n for n in range(80) if sum(counts[: n + 1]) >= sum(counts) * part)
    assert quantile(counts, part) == pytest.approx(0.001 * 2 ** ((bucket + 0.5) / 4))


def test_rows_are_in_order_and_without_the_second_that_is_not_over() -> None:
    ring = Ring()
    ring.add(1000, calls=3)
    ring.add(1001, calls=4)
    rows = ring.rows(1001)
    assert [row[0] for row in rows] == list(range(702, 1001))
    assert rows[-1] == (1000, 3, 0, 0)


@rows("seconds", [0.0, 0.0005, 0.003, 0.25, 7.5, 600.0])
def test_a_quantile_is_at_most_a_tenth_off(seconds: float) -> None:
    histogram = Histogram()
    for _ in range(100):
        histogram.add(50, seconds)
    found = quantile(histogram.counts(50), 0.99)
    assert found == pytest.approx(max(seconds, 0.001), rel=0.1)


def test_the_slowest_of_a_hundred_is_beyond_the_99th_hundredth() -> None:
    histogram = Histogram()
    for _ in range(98):
        histogram.add(50, 0.01)
    histogram.add(50, 5.0)
    histogram.add(50, 5.0)
    counts = histogram.counts(50)
    assert quantile(counts, 0.5) == pytest.approx(0.01, rel=0.1)
    assert quantile(counts, 0.99) == pytest.approx(5.0, rel=0.1)


def test_a_histogram_forgets_after_a_minute() -> None:
    histogram = Histogram()
    histogram.add(100, 0.01)
    assert sum(histogram.counts(150)) == 1
    assert histogram.counts(160) == []
    assert quantile([], 0.5) is None


def test_a_histogram_keeps_six_slices() -> None:
    histogram = Histogram()
    for second in range(10_000):
        histogram.add(second, 0.01)
    assert len(histogram._slices) == 6
    assert sum(map(sys.getsizeof, histogram._slices.values())) < 3000
