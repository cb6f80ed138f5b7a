"""The windows of budgets: their names, where they begin and end, and time zones that change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from llm_mesh_middleware._core.limiting.calendar import PERIODS, Calendar
from tests.rows import rows

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@rows(
    ("period", "moment", "name", "begin", "end"),
    [
        ("day", "2026-11-29T12:00Z", "2026-11-29", "2026-11-29T00:00Z", "2026-11-30T00:00Z"),
        ("week", "2026-11-29T23:59Z", "2026-W48", "2026-11-23T00:00Z", "2026-11-30T00:00Z"),
        ("week", "2027-01-01T00:00Z", "2026-W53", "2026-12-28T00:00Z", "2027-01-04T00:00Z"),
        ("month", "2026-12-31T23:59Z", "2026-12", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        ("quarter", "2026-02-03T00:00Z", "2026-Q1", "2026-01-01T00:00Z", "2026-04-01T00:00Z"),
        ("quarter", "2026-12-31T00:00Z", "2026-Q4", "2026-10-01T00:00Z", "2027-01-01T00:00Z"),
        ("year", "2028-02-29T00:00Z", "2028", "2028-01-01T00:00Z", "2029-01-01T00:00Z"),
    ],
)
def test_the_window_of_a_moment(period: str, moment: str, name: str, begin: str, end: str) -> None:
    window = Calendar(period, UTC).window(at(moment))
    assert (window.name, window.begins_at, window.ends_at) == (name, at(begin), at(end))


@rows(
    ("moment", "hours"),
    [("2026-03-29T12:00Z", 23), ("2026-10-25T12:00Z", 25), ("2026-10-26T12:00Z", 24)],
)
def test_a_day_is_as_long_as_its_zone_has_it(moment: str, hours: int) -> None:
    window = Calendar("day", BERLIN).window(at(moment))
    assert window.ends_at - window.begins_at == hours * 3600


def test_a_month_begins_at_midnight_of_its_zone() -> None:
    calendar = Calendar("month", SHANGHAI)
    assert calendar.window(at("2026-11-30T15:59:59Z")).name == "2026-11"
    assert calendar.window(at("2026-11-30T16:00Z")).name == "2026-12"


def test_durations_follow_one_another_since_1970() -> None:
    calendar = Calendar(3600.0, UTC)
    assert calendar.window(7199.9).name == "1"
    assert (calendar.window(7200.0).name, calendar.window(7200.0).ends_at) == ("2", 10_800)


@rows("period", [*PERIODS, 5400.0])
@rows("zone", [UTC, BERLIN, SHANGHAI], ids=str)
def test_windows_leave_no_gap_and_do_not_overlap(period: str | float, zone: ZoneInfo) -> None:
    random, calendar = Random(f"{period}{zone}"), Calendar(period, zone)
    for _ in range(100):
        moment = at("2024-01-01T00:00Z") + random.uniform(0, timedelta(days=2000).total_seconds())
        window = calendar.window(moment)
        assert window.begins_at <= moment < window.ends_at
        following = calendar.window(window.ends_at)
        assert following.begins_at == window.ends_at
        assert following.name != window.name
        assert calendar.window(window.ends_at - 0.001) == window
