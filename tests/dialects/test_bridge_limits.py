"""A conversion is refused where it would take more memory than a response is worth."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from llm_mesh_middleware._dialects.openai_chat.bridge import (
    ConversionLimit,
    completion_to_events,
    events_to_completion,
)
from tests.dialects.events import DONE, deltas
from tests.rows import rows

MIB = 2**20


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def completion(content: bytes) -> bytes:
    return b'{"choices":[{"index":0,"message":{"content":%b},"finish_reason":"stop"}]}' % content


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


# What begins, what is repeated so many million times, what ends, and the most MiB that it may take.
FLOODS = {
    "60 MB of empty objects": (b'{"choices":[', b"{},", 20, b"{}]}", 8),
    "8 MiB of empty objects": (b'{"choices":[', b"{},", 2, b"{}]}", 16),
    "8 MiB of small lists": (b'{"choices":[{"x":[', b"[1],", 2, b"1]}]}", 16),
}


@rows("name", FLOODS)
def test_a_flood_is_refused_in_little_memory(name: str) -> None:
    start, piece, times, end, most = FLOODS[name]
    body = start + piece * (times * MIB) + end
    stream = event(body) + DONE
    tracemalloc.start()
    with pytest.raises(ConversionLimit):
        completion_to_events(body, include_usage=True)
    with pytest.raises(ConversionLimit):
        events_to_completion(stream)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body) + most * MIB


@pytest.mark.slow
def test_a_flood_of_small_events_is_refused() -> None:
    stream = event(b'{"choices":[{"index":0,"delta":{"x":[{},{},{}]}}]}') * 200_000
    with pytest.raises(ConversionLimit, match="8388608 bytes"):
        events_to_completion(stream + DONE)


def test_what_every_chunk_repeats_is_limited() -> None:
    body = b'{"id":"%b","choices":[%b{}]}' % (b"x" * MIB, b"{}," * 1000)
    with pytest.raises(ConversionLimit, match="bytes of events"):
        completion_to_events(body, include_usage=False)


@pytest.mark.parametrize("size", [1000, 7 * MIB])
def test_a_response_within_the_limit_is_converted(size: int) -> None:
    text = "x" * size
    events = completion_to_events(completion(json.dumps(text).encode()), include_usage=False)
    assert json.loads(events_to_completion(events))["choices"][0]["message"]["content"] == text


def test_a_response_beyond_the_limit_is_not() -> None:
    with pytest.raises(ConversionLimit):
        completion_to_events(completion(b'"%b"' % (b"x" * 8 * MIB)), include_usage=False)
    with pytest.raises(ConversionLimit):
        events_to_completion(deltas({"content": "x" * 8 * MIB}))


@rows("levels", [65, 900, 100_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    deep = nested(levels)
    with pytest.raises(ConversionLimit, match="64 levels"):
        completion_to_events(completion(deep), include_usage=False)
    with pytest.raises(ConversionLimit, match="64 levels"):
        events_to_completion(event(b'{"choices":[{"delta":{"x":%b}}]}' % deep) + DONE)


def test_nesting_within_the_limit_and_brackets_in_text_are_converted() -> None:
    for content in (nested(59), json.dumps("[" * 1000).encode(), b"[%b[]]" % (b"[]," * 500)):
        events = completion_to_events(completion(content), include_usage=False)
        found = json.loads(events_to_completion(events))["choices"][0]["message"]["content"]
        assert found == json.loads(content)
