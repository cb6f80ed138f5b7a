"""A log line that many requests may cause comes once a minute for each cause."""

from __future__ import annotations

from llm_mesh_middleware._mesh.seldom import Seldom


def test_a_cause_is_allowed_once_a_minute() -> None:
    seldom = Seldom()
    moments = [0.0, 1.0, 59.9, 60.0, 61.0, 119.9, 120.0]
    assert [seldom.allows("a", now) for now in moments] == [
        True, False, False, True, False, False, True,
    ]  # fmt: skip


def test_each_cause_has_its_own_minute() -> None:
    seldom = Seldom()
    assert [seldom.allows(cause, 5.0) for cause in "abab"] == [True, True, False, False]


def test_causes_that_are_made_up_fall_silent_until_old_ones_are_forgotten() -> None:
    seldom = Seldom()
    assert sum(seldom.allows(f"host-{number}", 0.0) for number in range(2_000)) == 256
    assert not seldom.allows("another", 59.0)
    assert seldom.allows("another", 60.0)


def test_a_long_cause_is_cut() -> None:
    seldom = Seldom()
    assert seldom.allows("x" * 1_000_000, 0.0)
    assert not seldom.allows("x" * 1_000_001, 0.0)
