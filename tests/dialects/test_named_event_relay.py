"""Relayed streams of named events, and what comes before the first one."""

from __future__ import annotations

import json

import pytest

from llm_mesh_middleware._core.dialect import Dialect, WholeAnswer
from llm_mesh_middleware._dialects import anthropic, openai_responses
from tests.dialects.relaying import (
    COUNTS,
    DONE,
    LINE_ENDS,
    STOP,
    USAGE,
    delta,
    event,
    relay_of,
    relayed,
)
from tests.rows import rows
from tests.streams.pieces import whole_and_bytes

RESPONSE = [
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}\n\n',
    b'event: response.output_text.delta\ndata: {"delta":"x"}\n\n',
]
MESSAGE = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"c"}}\n\n',
    b'event: ping\ndata: {"type":"ping"}\n\n',
    b'event: content_block_delta\ndata: {"delta":{"type":"text_delta","text":"x"}}\n\n',
]


@rows(
    ("dialect", "events", "end"),
    [
        (openai_responses.DIALECT, RESPONSE, b'event: response.completed\ndata: {"a":1}\n\n'),
        (openai_responses.DIALECT, RESPONSE, b'data: {"type":"response.cancelled"}\n\n'),
        (anthropic.DIALECT, MESSAGE, b"event: message_stop\ndata: {}\n\n"),
        (anthropic.DIALECT, MESSAGE, b'data: {"type":"message_stop"}\n\n'),
    ],
)
@rows("line_end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
def test_a_stream_of_named_events_passes_byte_for_byte(
    dialect: Dialect, events: list[bytes], end: bytes, line_end: bytes
) -> None:
    stream = b"".join([*events, end]).replace(b"\n", line_end)
    for pieces in whole_and_bytes(stream):
        relay = relay_of(dialect=dialect)
        assert relayed(pieces, relay) == stream
        assert relay.error is None
        assert relay.events == len(events) + 1


@pytest.mark.parametrize(
    ("dialect", "events", "begin"),
    [
        (
            openai_responses.DIALECT,
            RESPONSE,
            b'event: error\ndata: {"type":"error","code":"stream_',
        ),
        (anthropic.DIALECT, MESSAGE, b'event: error\ndata: {"type":"error","error":{"type":"api_'),
    ],
)
def test_a_stream_of_named_events_that_is_cut_off_ends_in_its_dialect(
    dialect: Dialect, events: list[bytes], begin: bytes
) -> None:
    stream = b"".join(events)
    for pieces in whole_and_bytes(stream):
        got = relayed(pieces, relay_of(dialect=dialect))
        assert got.startswith(stream + begin)
    told = json.loads(got.removeprefix(stream).partition(b"data: ")[2])
    assert told.get("sequence_number", 2) == 2


@rows("separator", [b",", b" , ", b"\n"])
def test_several_objects_in_one_event_are_no_event(separator: bytes) -> None:
    two = separator.join([delta()[6:-2]] * 2)
    for pieces in whole_and_bytes(delta() + b"data: " + two + b"\n\n"):
        relay = relay_of()
        got = relayed(pieces, relay)
        assert got.startswith(delta())
        assert relay.error is not None


@rows("comments", [b"", b": hold on\n\n", b"\n: a\n\n"])
def test_an_error_that_comes_first_refuses_the_whole_response(comments: bytes) -> None:
    error = b'{"error":{"message":"m"}}'
    for pieces in whole_and_bytes(comments + b"data: " + error + b"\n\n"):
        relay = relay_of()
        relayed(pieces, relay)
        assert relay.refusal == WholeAnswer(502, [], error)


def test_an_error_after_an_event_refuses_nothing() -> None:
    for pieces in whole_and_bytes(delta() + event(error={"message": "m"})):
        relay = relay_of()
        relayed(pieces, relay)
        assert relay.refusal is None
        assert relay.has_event


@rows("begin", [b": a\n\n", b"\n\n", b"event: ping\n\n", USAGE, b"data: {"])
def test_what_has_no_event_for_the_client_commits_to_nothing(begin: bytes) -> None:
    relay = relay_of()
    relay.feed(begin)
    assert not relay.has_event
    relay.feed(b"}\n\n" if begin.endswith(b"{") else delta())
    assert relay.has_event


def test_what_comes_with_the_counts_is_passed_on_without_them() -> None:
    counts = event(choices=[], usage=COUNTS, citations=["u"])
    left = b'data: {"id":"c","choices":[],"citations":["u"]}\n\n'
    for pieces in whole_and_bytes(delta() + STOP + counts + DONE):
        assert relayed(pieces) == delta() + STOP + left + DONE
