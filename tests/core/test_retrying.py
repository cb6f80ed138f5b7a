"""How soon to try again, what is tried again, and how much of it a route may afford."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.flow.attempts.retrying import RetryBudget, retry_after_s
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy, Verdict
from llm_mesh_middleware._core.values.headers import Headers
from tests.rows import rows

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
RESET, REMAINING = "x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"
TOKENS_RESET, TOKENS_REMAINING = "x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"


def wish(**fields: str) -> float | None:
    """What a provider with these header fields asks for; `_` in a name stands for `-`."""
    return read((name.replace("_", "-"), value) for name, value in fields.items())


def read(fields) -> float | None:  # type: ignore[no-untyped-def]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return retry_after_s(Headers(raw), lambda: NOW)


@rows(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("120", 120.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("Sun, 01 Mar 2026 12:00:07 GMT", 7.0),
        ("Sun, 01 Mar 2026 13:00:00 GMT", 3600.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),  # past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sunday, 01-Mar-26 12:00:07 GMT", 7.0),  # the obsolete forms of RFC 9110 5.6.7
        ("Sun Mar  1 12:00:07 2026", 7.0),
        ("Sun, 01 Mar 2026 12:00:07 -0000", 7.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str, seconds: float) -> None:
    assert wish(retry_after=value) == pytest.approx(seconds)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is fixed here")
def test_a_date_without_a_zone_is_not_in_the_zone_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        wished = wish(retry_after="Sun Mar  1 12:00:07 2026")
    time.tzset()
    assert wished == 7.0


@rows(
    "value",
    ["", "soon", "-1", "1e3", "1,5", "١", "0x10", "1 s", "NaN", "inf", "Sun, 99 Foo", "9" * 65],
)
def test_a_retry_after_that_is_neither_is_no_wish(value: str) -> None:
    assert read([("retry-after", value.encode().decode("latin-1"))]) is None


@rows("value", ["9999999999", "9" * 64, "1" + "0" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_wish_stays_huge(value: str) -> None:
    wished = wish(retry_after=value)
    assert wished is not None
    assert wished > 1e9


@rows(
    ("fields", "seconds"),
    [
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "1.5"}, 0.0015),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "9"}, 9.0),
        ({"retry_after_ms": "soon"}, None),
        ({"retry_after_ms": "Sun, 01 Mar 2026 12:00:07 GMT"}, None),
    ],
)
def test_milliseconds_go_before_seconds(fields: dict[str, str], seconds: float | None) -> None:
    assert wish(**fields) == (None if seconds is None else pytest.approx(seconds))


@rows(
    ("value", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("2m59.56s", 179.56),
        ("1m", 60.0),
        ("1h", 3600.0),
        ("1s20ms", 1.02),
        ("7.66s", 7.66),
        ("30", 30.0),
        ("0s", 0.0),
        ("s", None),
        ("ms", None),
        ("1d", None),
        ("2s1m", None),
        ("1 s", None),
        ("", None),
        ("2026-03-01T12:00:07Z", None),
        ("9" * 65 + "s", None),
    ],
)
def test_the_reset_of_a_rate_limit_is_read_in_openais_spelling(
    value: str, seconds: float | None
) -> None:
    expected = None if seconds is None else pytest.approx(seconds)
    assert read([(RESET, value)]) == expected
    assert read([(TOKENS_RESET, value), (TOKENS_REMAINING, "0")]) == expected


@rows(
    ("fields", "seconds"),
    [
        ([(RESET, "1s"), (TOKENS_RESET, "3s")], 3.0),
        ([(RESET, "9s"), (REMAINING, "59"), (TOKENS_RESET, "3s"), (TOKENS_REMAINING, "0")], 3.0),
        ([(RESET, "9s"), (REMAINING, "59")], None),
        ([(RESET, "9s"), (REMAINING, "0"), ("retry-after", "2")], 2.0),
        ([(RESET, "9s"), (REMAINING, "0"), ("retry-after-ms", "5")], 0.005),
        ([("retry-after", "soon"), (RESET, "9s")], 9.0),
        ([], None),
    ],
)
def test_only_exhausted_limits_count_and_only_without_a_retry_after(
    fields: list[tuple[str, str]], seconds: float | None
) -> None:
    assert read(fields) == (None if seconds is None else pytest.approx(seconds))


ANY_TEXT = st.text(st.characters(max_codepoint=255), max_size=40)
DAYS = st.sampled_from(["Mon", "Sun", "Foo"])  # as a date of HTTP begins


@given(
    st.sampled_from(["retry-after", "retry-after-ms", RESET]),
    st.one_of(ANY_TEXT, st.builds("{}{}{}".format, DAYS, st.sampled_from([", ", " "]), ANY_TEXT)),
)
def test_nothing_a_provider_writes_is_an_error_or_a_negative_wish(name: str, value: str) -> None:
    wished = read([(name, value.encode("latin-1", "replace").decode("latin-1"))])
    assert wished is None or wished >= 0


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)))
def test_every_http_date_is_read(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    wished = wish(retry_after=format_datetime(moment, usegmt=True))
    assert wished == pytest.approx(max(0.0, moment.timestamp() - NOW))


ANYWHERE, ELSEWHERE, FINAL = Verdict.ANYWHERE, Verdict.ELSEWHERE, Verdict.FINAL


@rows(
    ("policy", "status", "reasons", "verdict"),
    [
        *((RetryPolicy(), status, (), ANYWHERE) for status in (429, 502, 503, 504, 529)),
        *((RetryPolicy(), s, (), FINAL) for s in (200, 400, 401, 403, 404, 408, 409, 413, 422)),
        (RetryPolicy(), 500, (), FINAL),
        (RetryPolicy(codes=frozenset((500, 529))), 500, (), ANYWHERE),
        (RetryPolicy(codes=frozenset((500, 529))), 529, (), ANYWHERE),
        (RetryPolicy(codes=frozenset((500, 529))), 503, (), FINAL),
        # The same request at the same provider would only be refused again.
        (RetryPolicy(codes=frozenset((400, 401))), 400, (), ELSEWHERE),
        (RetryPolicy(codes=frozenset((400, 401))), 401, (), ELSEWHERE),
        (RetryPolicy(reasons=frozenset(("too_long",))), 400, ("too_long", "bad"), ELSEWHERE),
        (RetryPolicy(reasons=frozenset(("too_long",))), 400, ("content_filter",), FINAL),
        (RetryPolicy(reasons=frozenset(("too_long",))), 400, (), FINAL),
        (RetryPolicy(reasons=frozenset(("server_error",))), 503, ("server_error",), ANYWHERE),
        (RetryPolicy(codes=frozenset()), 429, (), FINAL),
    ],
)
def test_the_policy_says_what_may_follow(
    policy: RetryPolicy, status: int, reasons: tuple[str, ...], verdict: Verdict
) -> None:
    assert policy.verdict(status, frozenset(reasons)) is verdict


@rows(
    ("attempt", "longest"),
    [(1, 0.25), (2, 0.5), (3, 1.0), (5, 4.0), (6, 8.0), (7, 8.0), (10, 8.0)],
)
def test_a_pause_is_drawn_from_nothing_to_a_bound_that_doubles_up_to_8_seconds(
    attempt: int, longest: float
) -> None:
    policy = RetryPolicy(attempts=10)
    assert policy.pause_s(attempt, lambda: 0.0) == 0.0
    assert policy.pause_s(attempt, lambda: 1.0) == longest
    draw = random.Random(5).random
    pauses = sorted(policy.pause_s(attempt, draw) for _ in range(2000))
    assert pauses[-1] < longest
    assert pauses[1000] == pytest.approx(longest / 2, rel=0.1)  # full jitter: all values alike


def test_the_first_bound_is_the_configured_backoff() -> None:
    assert RetryPolicy(backoff_s=0.01).pause_s(3, lambda: 1.0) == pytest.approx(0.04)


def test_an_idle_route_may_retry_three_times_a_second() -> None:
    budget = RetryBudget()
    assert [budget.spend(50.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(50.9)
    assert [budget.spend(51.0) for _ in range(4)] == [True, True, True, False]


def test_no_second_has_more_than_three_free_attempts() -> None:
    budget = RetryBudget()
    spent = [at / 64 for at in range(640) if budget.spend(at / 64)]
    assert len(spent) == 30
    assert all(later - sooner >= 1.0 for sooner, later in zip(spent, spent[3:], strict=False))


@rows("requests", [0, 4, 5, 10, 99, 100])
def test_requests_earn_a_fifth_of_an_attempt_each(requests: int) -> None:
    budget = RetryBudget()
    while budget.spend(0.0):
        pass
    for _ in range(requests):
        budget.earn()
    assert sum(budget.spend(0.0) for _ in range(50)) == requests // 5


def test_a_quiet_day_saves_up_no_more_than_twenty_attempts() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend(0.0) for _ in range(100)) == 20 + 3


def test_the_share_is_exact_over_a_long_time() -> None:
    budget = RetryBudget()
    while budget.spend(0.0):
        pass
    spent = 0
    for _ in range(10_000):
        budget.earn()
        spent += budget.spend(0.0)
    assert 1_999 <= spent <= 2_000
