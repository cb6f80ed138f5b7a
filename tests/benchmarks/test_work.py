"""How much work the hot paths are, in function calls: the same number on every machine.

A figure over its limit is not a slow machine but more work per request or per chunk. If it is worth
its price, raise the limit with the reason; a figure far below asks for a lower limit.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llm_mesh_middleware._core.guarding.patterns import Patterns
from llm_mesh_middleware._core.values.payload import decode_fields, encode_fields
from tests.benchmarks.guards import calls_of as calls_in
from tests.benchmarks.guards import feed_deltas, guard_text, words_of
from tests.benchmarks.in_memory import (
    calls_of_others,
    calls_of_reading,
    calls_of_stream,
    calls_of_telemetry,
    calls_of_unary,
)
from tests.benchmarks.paths import (
    calls_of,
    calls_of_outbound,
    calls_of_serve,
    calls_of_wsgi,
    logged,
)
from tests.benchmarks.sdks import ours
from tests.rows import rows

# About 15 % over what CPython 3.11 counts; later releases count less.
MAX_OTHERS = 5
MAX_UNARY = 298
MAX_CHUNK = 28
MAX_JOINED_CHUNK = 2
MAX_HEAD_READING = 68  # the calls that split a plain head are many, and take half the time
MAX_CHUNK_READING = 5
# Of a sampled unary request whose values wait for a batch; about 10 % over, without the SDK's.
MAX_TELEMETRY = 79  # of a sampled unary request; about 10 % over, the SDK's own not counted

# More than the same call has without it, the SDK's own included.
MAX_OWNED_SDK = 79  # about 640 where the application owns the SDK, with a batch of one
# The usage of a response is among these: nobody else asks for it.
MAX_ACCESS_LINE = 29
MAX_LIMIT = 15
MAX_TOKEN_LIMIT = 35
MAX_TRANSLATION = 155
MAX_VIEW = 45
MAX_VIEW_CHUNK = 6
MAX_GUARDED_TEXT = 37  # of any size: the passes over it are in C
MAX_GUARDED_DELTA = 13  # an event of a stream that is like those before it
MAX_SEARCHED_TEXT = 15
MAX_READ_DELTA = 11
# Whole calls.
MAX_CACHE_HIT = 262  # less than the same call takes
MAX_SERVE = 396
MAX_OUTBOUND = 256
MAX_WSGI = 398


@pytest.fixture(autouse=True)
def no_rubbish() -> Iterator[None]:
    """What tests before these have left must not be cleared away, and counted, in between."""
    gc.collect()
    gc.freeze()  # what stays is not looked at again, here and in each test that collects
    gc.disable()
    yield
    gc.enable()


def test_a_request_that_is_not_the_meshs_costs_it_a_few_calls() -> None:
    assert calls_of_others() <= MAX_OTHERS


def test_a_unary_request_costs_no_more_calls_than_it_did() -> None:
    assert calls_of_unary() <= MAX_UNARY


@rows("text", ["All is well. ", "Alles Gute für Sie. ", "一切都好。"])
def test_a_long_body_is_not_copied_to_be_understood(text: str) -> None:
    messages = f'[{{"role":"user","content":"{text * 20_000}"}}]'
    body = f'{{"model":"one","messages":{messages}}}'.encode()
    tracemalloc.start()
    fields = decode_fields(body)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < len(body) / 10
    assert encode_fields(fields) == body


def test_a_chunk_costs_no_more_calls_than_it_did() -> None:
    few, many = 20, 120

    assert (calls_of_stream(many) - calls_of_stream(few)) / (many - few) <= MAX_CHUNK


def test_chunks_that_come_together_cost_less() -> None:
    few, many = (calls_of_stream(chunks, at_once=True) for chunks in (20, 120))

    assert (many - few) / 100 <= MAX_JOINED_CHUNK


def test_reading_an_answer_costs_no_more_calls_than_it_did() -> None:
    assert calls_of_reading(1) <= MAX_HEAD_READING
    assert (calls_of_reading(120) - calls_of_reading(20)) / 100 <= MAX_CHUNK_READING


def test_telling_of_a_unary_request_costs_no_more_calls_than_it_did() -> None:
    assert calls_of_telemetry() <= MAX_TELEMETRY


def test_a_sampled_request_costs_little_more_where_we_own_the_sdk() -> None:
    assert calls_of(sdk=ours) - calls_of() <= MAX_OWNED_SDK


def test_the_line_of_the_access_log_costs_no_more_calls_than_it_did() -> None:
    with logged():
        with_line = calls_of()
    assert with_line - calls_of() <= MAX_ACCESS_LINE


def test_a_limit_in_memory_costs_no_more_calls_than_it_did() -> None:
    assert calls_of("limit") - calls_of() <= MAX_LIMIT


def test_a_limit_of_tokens_costs_its_settlement_too() -> None:
    assert calls_of("tokens") - calls_of() <= MAX_TOKEN_LIMIT


def test_a_call_under_a_limit_leaves_nothing_to_the_garbage_collector() -> None:
    @contextmanager
    def garbage() -> Iterator[list[int]]:
        gc.collect()
        found = [0]
        yield found
        found[0] = gc.collect()

    # The least of some: a thread that another test has left may drop something meanwhile.
    for policy in (None, "limit", "tokens"):
        assert min(calls_of(policy, meter=garbage) for _ in range(3)) == 0, policy


def test_policies_of_other_rules_cost_nothing() -> None:
    # Of ten calls each; in one of them, a timer of the loop may be set.
    assert calls_of("other") - calls_of() < 1


def test_translating_a_call_costs_no_more_calls_than_it_did() -> None:
    assert calls_of(messages=True) - calls_of() <= MAX_TRANSLATION


def test_a_call_that_a_view_watches_costs_no_more_calls_than_it_did() -> None:
    assert calls_of(watched=True) - calls_of() <= MAX_VIEW


def test_a_view_adds_a_few_calls_to_a_chunk() -> None:
    def of_a_chunk(*, watched: bool) -> float:
        few, many = (calls_of_stream(chunks, watched=watched) for chunks in (20, 120))
        return (many - few) / 100

    assert of_a_chunk(watched=True) - of_a_chunk(watched=False) <= MAX_VIEW_CHUNK


def test_a_hit_of_the_cache_costs_no_more_calls_than_it_did() -> None:
    assert calls_of("cache") <= MAX_CACHE_HIT


def test_a_request_on_the_sidecars_own_protocol_costs_no_more_calls_than_it_did() -> None:
    assert calls_of_serve() <= MAX_SERVE


def test_a_call_of_the_application_itself_costs_no_more_calls_than_it_did() -> None:
    assert calls_of_outbound() <= MAX_OUTBOUND


def test_a_request_through_wsgi_costs_no_more_calls_than_it_did() -> None:
    assert calls_of_wsgi() <= MAX_WSGI


WORDS = "Please compare these offers and tell me which one you would recommend to a small team. "


def test_a_text_with_nothing_to_find_costs_a_guard_a_few_calls_whatever_its_size() -> None:
    for count in (12, 2400):
        assert calls_in(lambda: guard_text(WORDS * count)) <= MAX_GUARDED_TEXT  # noqa: B023
        numbered = (WORDS + "It costs 1,299.00 for 24 months. ") * count
        assert calls_in(lambda: guard_text(numbered)) <= MAX_GUARDED_TEXT  # noqa: B023


def test_a_delta_with_nothing_to_find_costs_a_guard_a_few_calls() -> None:
    words = words_of(WORDS * 10)

    assert calls_in(feed_deltas(words, ())) / len(words) <= MAX_READ_DELTA
    assert calls_in(feed_deltas(words)) / len(words) <= MAX_GUARDED_DELTA


def test_a_text_without_a_match_costs_a_pattern_a_few_calls_whatever_its_size() -> None:
    patterns = Patterns(["(?i)project (heron|egret)", ".*bluebird.*"], entity="P", longest=256)
    for count in (12, 2400):
        assert calls_in(lambda: list(patterns.find(WORDS * count))) <= MAX_SEARCHED_TEXT  # noqa: B023
