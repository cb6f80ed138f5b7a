"""Vectors in memory: what is found, what is forgotten, and how much there may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from llm_mesh_middleware._core.caching.semantic.similarity import Nearest, Remember

pytest.importorskip("numpy", reason="the extra semantic is not installed")

if TYPE_CHECKING:
    from llm_mesh_middleware._engine.ports.vectors import Vectors
else:
    from llm_mesh_middleware._engine.ports.vectors import Vectors

EAST, NORTH = (1.0, 0.0), (0.0, 1.0)
NEARLY_EAST = (1.0, 0.1)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def keys(vectors: Vectors, vector: tuple[float, ...], threshold: float = 0.9) -> list[str]:
    return [near.key for near in vectors.nearest(Nearest("p", vector, threshold))]


def test_the_nearest_comes_first_whatever_the_lengths() -> None:
    vectors = Vectors()
    vectors.remember(Remember("p", NEARLY_EAST, "nearly", 60))
    vectors.remember(Remember("p", (7.0, 0.0), "east", 60))
    vectors.remember(Remember("p", NORTH, "north", 60))

    found = vectors.nearest(Nearest("p", (0.5, 0.0), 0.9))

    assert [near.key for near in found] == ["east", "nearly"]
    assert [round(near.similarity, 3) for near in found] == [1.0, 0.995]


def test_partitions_and_other_widths_are_apart() -> None:
    vectors = Vectors()
    vectors.remember(Remember("other", EAST, "a", 60))
    assert keys(vectors, EAST) == []

    vectors.remember(Remember("p", EAST, "a", 60))
    assert keys(vectors, (1.0, 0.0, 0.0)) == []
    vectors.remember(Remember("p", (1.0, 0.0, 0.0), "b", 60))
    assert (keys(vectors, (1.0, 0.0, 0.0)), keys(vectors, EAST)) == (["b"], [])


def test_a_vector_ends_with_its_entry() -> None:
    clock = Clock()
    vectors = Vectors(clock=clock)
    vectors.remember(Remember("p", EAST, "short", 5))
    vectors.remember(Remember("p", NEARLY_EAST, "long", 50))
    clock.now += 5

    assert keys(vectors, EAST) == ["long"]


def test_a_key_has_one_vector() -> None:
    vectors = Vectors()
    for vector in (EAST, NORTH):
        vectors.remember(Remember("p", vector, "a", 60))

    assert (vectors.count, keys(vectors, EAST), keys(vectors, NORTH)) == (1, [], ["a"])


@pytest.mark.parametrize("vector", [(0.0, 0.0), (float("inf"), 1.0), (float("nan"), 1.0)])
def test_what_has_no_direction_is_like_nothing(vector: tuple[float, float]) -> None:
    vectors = Vectors()
    vectors.remember(Remember("p", vector, "a", 60))
    vectors.remember(Remember("p", EAST, "east", 60))

    assert keys(vectors, vector, -2.0) == []
    assert keys(vectors, EAST) == ["east"]


def test_the_oldest_of_a_full_partition_is_overwritten() -> None:
    vectors, itself = Vectors(), 0.9999995
    around = [(math.cos(turn), math.sin(turn)) for turn in (0.0015 * at for at in range(1003))]
    for number, vector in enumerate(around):
        vectors.remember(Remember("p", vector, str(number), 60))

    assert vectors.count == 1000
    assert [keys(vectors, vector, itself) for vector in around[:4]] == [[], [], [], ["3"]]
    assert keys(vectors, around[1002], itself) == ["1002"]


def test_the_partition_that_was_used_the_least_recently_goes_first() -> None:
    vectors = Vectors(max_vectors=3)
    for name in ("p", "q", "r"):
        vectors.remember(Remember(name, EAST, name, 60))
    assert keys(vectors, EAST) == ["p"]
    vectors.remember(Remember("s", EAST, "s", 60))

    assert vectors.count == 3
    assert vectors.nearest(Nearest("q", EAST, 0.9)) == ()
    assert keys(vectors, EAST) == ["p"]


def test_memory_is_bounded() -> None:
    vectors = Vectors(max_bytes=100_000)
    for number in range(100):
        vectors.remember(Remember(str(number), [1.0] * 1000, "a", 60))
        assert vectors.size <= 100_000
    assert 1 <= vectors.count < 10


def test_one_partition_that_is_too_large_for_itself_is_dropped() -> None:
    vectors = Vectors(max_bytes=1000)
    vectors.remember(Remember("p", [1.0] * 1000, "a", 60))
    assert (vectors.count, vectors.size) == (0, 0)
