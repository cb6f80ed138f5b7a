"""Token counts of every provider come to one meaning, each counted once."""

from __future__ import annotations

import json

import pytest

from llm_mesh_middleware._core.dialect import EventKind
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects.openai_chat.facts import ChatFacts, read_fields

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
    "unknown members": ({"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.1}, Usage(3, 4)),
    "no count at all": ({}, None),
    "null counts": ({"prompt_tokens": None, "completion_tokens": None}, None),
    "only a total": ({"total_tokens": 9}, None),
    "null": (None, None),
}


@pytest.mark.parametrize("name", REPORTED)
def test_reported_counts_are_brought_to_one_meaning(name: str) -> None:
    reported, wanted = REPORTED[name]
    fields = read_fields(json.dumps({"id": "x", "usage": reported}).encode())
    assert fields is not None
    found = fields.usage.counted() if fields.usage is not None else None
    assert found == wanted


@pytest.mark.parametrize("name", REPORTED)
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


@pytest.mark.parametrize(
    "usage", ["12", '"many"', "[]", '{"prompt_tokens": "3"}', '{"prompt_tokens": 1.5}']
)
def test_counts_that_are_no_counts_are_absent_and_hide_nothing_else(usage: str) -> None:
    body = f'{{"usage": {usage}, "choices": [{{"index": 0, "finish_reason": "stop"}}]}}'
    facts = ChatFacts()
    assert facts.read(body.encode()) is EventKind.CONTENT
    assert facts.usage is None
    assert facts.is_complete
