"""Token counts of every provider come to one meaning, each counted once."""

from __future__ import annotations

import json

from llm_mesh_middleware._core.dialect import Dialect, EventKind
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects import anthropic, openai_chat
from llm_mesh_middleware._dialects.openai_chat.facts import ChatFacts, read_fields
from tests.rows import rows

# As the providers' API references show them.
REPORTED: dict[str, tuple[dict[str, object] | None, Usage | None]] = {
    "chat": (
        {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
        Usage(19, 10),
    ),
    "chat with details": (
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 128, "audio_tokens": 0},
        },
        Usage(2006, 300, cache_read_tokens=1920, reasoning_tokens=128),
    ),
    "kinds of what was cached": (
        {
            "prompt_tokens": 50,
            "completion_tokens": 6,
            "prompt_tokens_details": {
                "cached_tokens": 40,
                "audio_tokens": 30,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 30},
            },
        },
        Usage(
            50,
            6,
            cache_read_tokens=40,
            modalities=(("audio.input_tokens", 30), ("audio.cache_read.input_tokens", 30)),
        ),
    ),
    "details that are null": (
        {
            "prompt_tokens": 5,
            "completion_tokens": 6,
            "prompt_tokens_details": None,
            "completion_tokens_details": {"reasoning_tokens": None},
        },
        Usage(5, 6),
    ),
    "embeddings": ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, 0)),
    "responses": (
        {
            "input_tokens": 75,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens": 1186,
            "output_tokens_details": {"reasoning_tokens": 1024},
            "total_tokens": 1261,
        },
        Usage(75, 1186, cache_read_tokens=64, reasoning_tokens=1024),
    ),
    "deepseek": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        Usage(100, 20, cache_read_tokens=64),
    ),
    "deepseek says it twice": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 64},
            "prompt_cache_hit_tokens": 64,
        },
        Usage(100, 20, cache_read_tokens=64),
    ),
    "moonshot": (
        {"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 64},
        Usage(100, 20, cache_read_tokens=64),
    ),
    "both names": (
        {"prompt_tokens": 3, "completion_tokens": 4, "input_tokens": 3, "output_tokens": 4},
        Usage(3, 4),
    ),
    "nothing was made": ({"prompt_tokens": 3, "completion_tokens": 0}, Usage(3, 0)),
    "zero is a count": ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0)),
    "reasoning beside the completion": (
        {
            "prompt_tokens": 10120,
            "completion_tokens": 1499,
            "total_tokens": 14428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2809},
        },
        Usage(10120, 4308, cache_read_tokens=128, reasoning_tokens=2809),
    ),
    "reasoning beside the completion, no total": (
        {
            "prompt_tokens": 12,
            "completion_tokens": 1,
            "completion_tokens_details": {"reasoning_tokens": 386},
        },
        Usage(12, 387, reasoning_tokens=386),
    ),
    "reasoning only in the total": (
        {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 115},
        Usage(5, 110),
    ),
    "reasoning beside a response": (
        {
            "input_tokens": 12,
            "output_tokens": 1,
            "total_tokens": 399,
            "output_tokens_details": {"reasoning_tokens": 386},
        },
        Usage(12, 387, reasoning_tokens=386),
    ),
    "a total with what a cache took": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 115,
            "cache_read_input_tokens": 100,
        },
        Usage(10, 5, cache_read_tokens=100),
    ),
    "integral floats": (
        {
            "prompt_tokens": 7.0,
            "completion_tokens": 2e0,
            "prompt_tokens_details": {"cached_tokens": 1.0},
        },
        Usage(7, 2, cache_read_tokens=1),
    ),
    "details that are a list": (
        {"prompt_tokens": 7, "completion_tokens": 2, "completion_tokens_details": []},
        Usage(7, 2),
    ),
    "odd details": (
        {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": "0"},
        },
        Usage(7, 2),
    ),
    "a total beyond 64 bits": (
        {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 10**30},
        Usage(7, 2),
    ),
    "a negative count": ({"prompt_tokens": 7, "completion_tokens": -1}, Usage(7, 0)),
    "unknown members": ({"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.1}, Usage(3, 4)),
    "no count at all": ({}, None),
    "null counts": ({"prompt_tokens": None, "completion_tokens": None}, None),
    "only a total": ({"total_tokens": 9}, None),
    "null": (None, None),
}


@rows("name", REPORTED)
def test_reported_counts_are_brought_to_one_meaning(name: str) -> None:
    reported, wanted = REPORTED[name]
    fields = read_fields(json.dumps({"id": "x", "usage": reported}).encode())
    assert fields is not None
    found = fields.usage.counted() if fields.usage is not None else None
    assert found == wanted


@rows("name", REPORTED)
def test_a_stream_reports_what_a_whole_answer_would(name: str) -> None:
    reported, wanted = REPORTED[name]
    facts = ChatFacts()
    for event in (
        {"choices": []},
        {"choices": [], "usage": reported},
        {"choices": [], "usage": None},
    ):
        facts.read(json.dumps(event).encode())
    assert facts.usage == wanted


@rows("usage", ["12", '"many"', "[]", '{"prompt_tokens": "3"}', '{"prompt_tokens": 1.5}'])
def test_counts_that_are_no_counts_are_absent_and_hide_nothing_else(usage: str) -> None:
    body = f'{{"usage": {usage}, "choices": [{{"index": 0, "finish_reason": "stop"}}]}}'
    facts = ChatFacts()
    assert facts.read(body.encode()) is EventKind.CONTENT
    assert facts.usage is None
    assert facts.is_complete


def usage_of(events: list[dict[str, object]], dialect: Dialect) -> Usage | None:
    facts = dialect.facts()
    for event in events:
        assert facts.read(json.dumps(event).encode()) is not EventKind.UNREADABLE
    return facts.usage


def started(**usage: int) -> dict[str, object]:
    return {"type": "message_start", "message": {"id": "m", "usage": usage}}


def changed(**usage: int | None) -> dict[str, object]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


MESSAGES: dict[str, tuple[list[dict[str, object]], Usage]] = {
    "output at the end": (
        [started(input_tokens=25, output_tokens=1), changed(output_tokens=15)],
        Usage(25, 15),
    ),
    "the end repeats the input as zero": (
        [started(input_tokens=25, output_tokens=1), changed(input_tokens=0, output_tokens=15)],
        Usage(25, 15),
    ),
    "the end repeats the input as null": (
        [started(input_tokens=25, output_tokens=1), changed(input_tokens=None, output_tokens=15)],
        Usage(25, 15),
    ),
    "all at the end": (
        [
            started(input_tokens=0, output_tokens=0),
            changed(input_tokens=4522, cache_creation_input_tokens=4511, output_tokens=5),
        ],
        Usage(9033, 5, cache_write_tokens=4511),
    ),
    "the end repeats the input without the cache": (
        [
            started(input_tokens=25, cache_read_input_tokens=100, output_tokens=1),
            changed(input_tokens=25, output_tokens=15),
        ],
        Usage(125, 15, cache_read_tokens=100),
    ),
    "the end repeats everything": (
        [
            started(input_tokens=25, cache_read_input_tokens=100, output_tokens=1),
            changed(input_tokens=25, cache_read_input_tokens=100, output_tokens=15),
        ],
        Usage(125, 15, cache_read_tokens=100),
    ),
    "two ends": (
        [
            started(input_tokens=25, output_tokens=1),
            changed(output_tokens=15),
            changed(output_tokens=20),
        ],
        Usage(25, 20),
    ),
}


@rows("name", MESSAGES)
def test_the_counts_of_a_message_add_up_over_its_events(name: str) -> None:
    events, wanted = MESSAGES[name]
    assert usage_of(events, anthropic.DIALECT) == wanted


def test_thinking_is_part_of_the_output_of_a_message() -> None:
    usage = {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    message = anthropic.DIALECT.read_whole(json.dumps({"type": "message", "usage": usage}).encode())
    assert message is not None
    assert message.summary(None).usage == Usage(1, 9, reasoning_tokens=4)


@rows(
    "later",
    [
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": None, "completion_tokens": 4},
        {"completion_tokens": 4, "prompt_tokens_details": {"audio_tokens": 0}},
    ],
)
def test_a_later_zero_takes_no_count_back(later: dict[str, object]) -> None:
    first = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    events = [{"choices": [], "usage": usage} for usage in (first, later)]
    kinds = (("audio.input_tokens", 3),)
    assert usage_of(events, openai_chat.DIALECT) == Usage(9, 4, 2, 0, 1, kinds)


def test_kinds_that_are_counted_later_are_added_to_those_before() -> None:
    first = {"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 3, "text_tokens": 6}}
    later = {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "prompt_tokens_details": {"audio_tokens": 4},
        "completion_tokens_details": {"audio_tokens": 5},
    }
    found = usage_of([{"choices": [], "usage": u} for u in (first, later)], openai_chat.DIALECT)
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (9, 7)
    assert dict(found.modalities) == {
        "text.input_tokens": 6,
        "audio.input_tokens": 4,
        "audio.output_tokens": 5,
    }


@rows(
    "event",
    [
        {
            "choices": [],
            "x_groq": {"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        },
        {"choices": [{"index": 0, "usage": {"prompt_tokens": 3, "completion_tokens": 1}}]},
        {"choices": [{"index": "0"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
    ],
)
def test_counts_are_found_where_providers_put_them(event: dict[str, object]) -> None:
    assert usage_of([event], openai_chat.DIALECT) == Usage(3, 1)
