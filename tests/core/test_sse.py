"""Server-sent events are cut and read the same however their bytes are split."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.http.sse import (
    EventCutter,
    EventTooLong,
    before_last_events,
    event_data,
    make_event,
)
from tests.rows import rows
from tests.streams.pieces import PLACES, cut, whole_and_bytes

BOM = b"\xef\xbb\xbf"
LIMIT = 1 << 16

# What a stream holds, and the data of its events as WHATWG HTML 9.2.6 reads them.
STREAMS = {
    "LF": (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
    "CRLF": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
    "CR": (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
    "line ends mixed": (
        b"data: 1\r\n\ndata: 2\n\rdata: 3\r\r\ndata: 4\n\r\n",
        [*b"1 2 3 4".split()],
    ),
    "line ends mixed in one event": (
        b"data: 1\rdata: 2\n\ndata: 3\ndata: 4\r\n\r\n",
        [b"1\n2", b"3\n4"],
    ),
    "BOM": (BOM + b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
    "BOM before a comment": (BOM + b": c\n\ndata: 1\n\n", [b"1"]),
    "no space": (b"data:1\n\ndata:{}\r\n\r\n", [b"1", b"{}"]),
    "only one space goes": (b"data:  1 \n\n", [b" 1 "]),
    "several lines": (b"data: {\ndata:\ndata: }\n\n", [b"{\n\n}"]),
    "several CRLF lines": (b"data: {\r\ndata: }\r\n\r\n", [b"{\n}"]),
    "other fields": (b"id: 7\nevent: x\nretry: 1\ndata: 1\n\nid\n\n", [b"1"]),
    "fields that only look like data": (b"data1: 0\n Data: 0\nDATA: 0\ndata: 1\n\n", [b"1"]),
    "no data at all": (b"event: ping\n\n", []),
    "empty data": (b"data\n\ndata:\n\ndata: \n\n", []),
    "comments": (b": hi\n\ndata: 1\n\n:\n:: \n\ndata: 2\n\n", [b"1", b"2"]),
    "comments in CRLF": (b": hi\r\n\r\ndata: 1\r\n: in between\r\n\r\n: x\r\n", [b"1"]),
    "comment before the lines of an event": (b": hi\ndata: 1\n: more\ndata: 2\n\n", [b"1\n2"]),
    "empty lines": (b"\n\n\r\n\rdata: 1\n\n\n\n\ndata: 2\n\n\n", [b"1", b"2"]),
    "UTF-8": (
        "data: 你好 😀\n\ndata: \u2028\x85\n\n".encode(),
        ["你好 😀".encode(), "\u2028\x85".encode()],
    ),
    "NUL and colons": (b"data: a\0:b: c\n\n", [b"a\0:b: c"]),
    "no end": (b"data: 1\n\ndata: 2", [b"1", b"2"]),
    "one line end missing": (b"data: 1\r\n\r\ndata: 2\r\n", [b"1", b"2"]),
    "nothing": (b"", []),
}


def cut_up(pieces: list[bytes]) -> list[bytes]:
    """Everything that a cutter gives out for `pieces`, in order."""
    cutter = EventCutter(LIMIT)
    given_out = [event for piece in pieces for event in cutter.feed(piece)]
    rest = cutter.rest()
    return [*given_out, rest] if rest else given_out


def data_of(events: list[bytes]) -> list[bytes]:
    return [data for data in map(event_data, events) if data]


@rows("name", STREAMS)
def test_a_stream_is_cut_the_same_in_any_pieces(name: str) -> None:
    stream, wanted = STREAMS[name]
    for pieces in whole_and_bytes(stream):
        events = cut_up(pieces)
        assert b"".join(events) == stream
        assert data_of(events) == wanted
        assert all(events)


LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from(
    [b"data: x", b"data:y", b"data", b": c", b":", b"event: e", b"", "data: é".encode()]
)


@given(st.lists(st.tuples(LINES, LINE_ENDS), max_size=20), PLACES)
def test_no_byte_is_lost_or_moved_at_random_splits(
    lines: list[tuple[bytes, bytes]], places: list[int]
) -> None:
    stream = b"".join(line + end for line, end in lines)
    events = cut_up(cut(stream, places))
    assert b"".join(events) == stream
    assert data_of(events) == data_of(cut_up([stream]))


@given(st.binary(max_size=200), PLACES)
def test_any_bytes_come_out_as_they_went_in(stream: bytes, places: list[int]) -> None:
    assert b"".join(cut_up(cut(stream, places))) == stream


@rows("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_given_out_with_its_last_byte_and_not_before(end: bytes) -> None:
    stream = b"data: 1" + end + b"data: 2" + end + end
    cutter = EventCutter(LIMIT)
    given_out = [list(cutter.feed(stream[at : at + 1])) for at in range(len(stream))]
    last = -2 if end == b"\r\n" else -1  # CR ends a line, whatever follows
    assert [event for events in given_out[:last] for event in events] == []
    assert b"".join(event for events in given_out[last:] for event in events) == stream


def test_a_mark_is_apart_from_what_follows_it() -> None:
    assert next(EventCutter(LIMIT).feed(BOM + b": c\ndata: 1\n\n")) == BOM
    assert b"".join(EventCutter(LIMIT).feed(BOM + b": c\n")) == BOM + b": c\n"


@rows("line", [b": keep-alive\n", b":\r\n", b": a\n: b\n", b"\n", b"\r\n", b"\r"])
def test_a_comment_or_empty_line_is_given_out_at_once(line: bytes) -> None:
    cutter = EventCutter(LIMIT)
    assert b"".join(cutter.feed(line)) == line
    assert b"".join(cutter.feed(b"data: 1\n\n" + line)) == b"data: 1\n\n" + line
    assert b"".join(cutter.feed(line + b"data: 2")) == line
    assert b"".join(cutter.feed(b"\n\n")) == b"data: 2\n\n"


def test_a_comment_inside_an_event_waits_for_the_event() -> None:
    cutter = EventCutter(LIMIT)
    assert list(cutter.feed(b"event: x\n: in it\n")) == []
    assert list(cutter.feed(b"data: 1\n\n")) == [b"event: x\n: in it\ndata: 1\n\n"]


def test_half_a_comment_waits_for_its_end() -> None:
    cutter = EventCutter(LIMIT)
    assert list(cutter.feed(b": keep-")) == []
    assert list(cutter.feed(b"alive")) == []
    assert list(cutter.feed(b"\ndata")) == [b": keep-alive\n"]


@rows("start", [b"data: ", b": ", b"event: x\ndata: ", b""])
@rows("size", [1, 7, 1000])
def test_an_event_without_end_is_bounded(start: bytes, size: int) -> None:
    cutter = EventCutter(1000)
    fed = 0
    with pytest.raises(EventTooLong):  # noqa: PT012 - which piece is one too many depends on `size`
        for piece in cut(start + b"x" * 3000, list(range(size, 3000, size))):
            fed += len(piece)
            assert list(cutter.feed(piece)) == []
    assert 1000 < fed <= 1000 + size + len(start)


def test_an_event_of_exactly_the_limit_passes() -> None:
    event = b"data: " + b"x" * 992 + b"\n\n"
    cutter = EventCutter(1000)
    assert list(cutter.feed(event[:-1])) == []
    assert list(cutter.feed(event[-1:])) == [event]


def test_a_long_event_in_small_pieces_costs_no_more_than_its_length() -> None:
    # To look at all that is held for every one of the 64,000 lines takes a minute.
    began = time.process_time()
    cutter = EventCutter(1 << 24)
    for _ in range(64_000):
        assert not list(cutter.feed(b"data: " + b"x" * 94 + b"\n"))
    assert sum(map(len, cutter.feed(b"\n"))) == 64_000 * 101 + 1
    assert time.process_time() - began < 5


def test_the_rest_is_what_has_no_end_yet() -> None:
    cutter = EventCutter(LIMIT)
    assert list(cutter.feed(b"data: 1\n\ndata: 2\n")) == [b"data: 1\n\n"]
    assert cutter.rest() == b"data: 2\n"
    assert cutter.rest() == b""
    assert list(cutter.feed(b"data: 3\n\n")) == [b"data: 3\n\n"]


@given(st.binary(max_size=50).filter(lambda data: not {*b"\r\n"} & {*data} and data[:1] != b" "))
def test_an_event_of_our_own_holds_its_data(data: bytes) -> None:
    event = make_event(data)
    assert event_data(event) == data
    assert cut_up([event]) == [event]


@rows("part", [b"", b"data: 5", b"data: 5\n"])
@rows(("count", "left"), [(0, 4), (1, 3), (3, 1), (4, 0), (5, 0)])
def test_the_events_before_the_last_are_whole_ones(part: bytes, count: int, left: int) -> None:
    events = [b"data: %d\n\n" % number for number in range(4)]
    assert before_last_events(b"".join(events) + part, count) == b"".join(events[:left])


@rows(
    "flood",
    [
        b"\n" * 60_000,
        b"\r" * 60_000,
        b"\r\n" * 30_000,
        b": ping\n" * 9_000,
        b": a\r\n\r\n:\n\n" * 6_000,
    ],
    ids=["LF", "CR", "CR LF", "comments", "both"],
)
def test_a_flood_of_lines_without_events_is_one_piece(flood: bytes) -> None:
    cutter = EventCutter(1000)
    pieces = list(cutter.feed(flood))
    assert len(pieces) == 1
    assert b"".join(pieces) + cutter.rest() == flood
    assert event_data(pieces[0]) == b""


def test_an_event_behind_a_flood_is_found() -> None:
    cutter = EventCutter(1000)
    assert list(cutter.feed(b"\n\n: a\n: b\n\ndata: 1\n\n\n: c\n")) == [
        b"\n\n: a\n: b\n\n",
        b"data: 1\n\n",
        b"\n: c\n",
    ]
