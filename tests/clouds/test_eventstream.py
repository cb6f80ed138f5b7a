"""Frames of an AWS event stream, however they arrive, and with anything wrong with them."""

from __future__ import annotations

import random
from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.http.eventstream import Frame, FrameCutter, FrameError
from tests.clouds.frames import chunk, event, exception, frame
from tests.rows import rows
from tests.texts import texts

STREAM = b"".join(
    (
        event("messageStart", {"role": "assistant"}),
        event("contentBlockDelta", {"delta": {"text": "ü" * 300}}),
        chunk({"type": "ping"}),
        frame({}, b""),
        exception("throttlingException", "slow down"),
    )
)


def cut(*pieces: bytes) -> list[Frame]:
    cutter = FrameCutter()
    found = [each for piece in pieces for each in cutter.feed(piece)]
    assert cutter.is_between
    return found


def with_headers(headers: bytes, payload: bytes = b"") -> bytes:
    lengths = pack("!II", 16 + len(headers) + len(payload), len(headers))
    body = lengths + pack("!I", crc32(lengths)) + headers + payload
    return body + pack("!I", crc32(body))


def test_frames_are_those_that_botocore_reads() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(STREAM)
    wanted = [Frame(each.headers, each.payload) for each in buffer]
    assert cut(STREAM) == wanted
    assert len(wanted) == 5


def test_frames_may_be_cut_anywhere() -> None:
    whole = cut(STREAM)
    assert cut(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == whole
    for at in range(len(STREAM)):
        assert cut(STREAM[:at], STREAM[at:]) == whole
    draw = random.Random(7)
    for _ in range(50):
        places = sorted(draw.sample(range(len(STREAM)), 6))
        ends = zip([0, *places], [*places, None], strict=True)
        assert cut(*(STREAM[begin:end] for begin, end in ends)) == whole


@rows("at", range(len(event("a", 1))))
def test_a_damaged_byte_is_told_and_what_precedes_it_is_not_lost(at: int) -> None:
    good, bad = event("first", 1), bytearray(event("a", 1))
    bad[at] ^= 0x40
    frames = FrameCutter().feed(good + bytes(bad) + good)
    assert [next(frames)] == cut(good)
    with pytest.raises(FrameError):
        next(frames)


# A header of each type; the second is the one that is read.
VALUES = [
    b"\0",
    b"\1",
    b"\2a",
    b"\3ab",
    b"\4abcd",
    b"\5abcdefgh",
    b"\6\0\3abc",
    b"\7\0\3abc",
    b"\x08abcdefgh",
    b"\x09abcdefghijklmnop",
]


@rows("value", VALUES)
def test_headers_of_every_type_are_skipped_right(value: bytes) -> None:
    headers = b"\1x" + value + b"\1n\7\0\2ok"
    (found,) = cut(with_headers(headers, b"p"))
    strings = {"x": "abc", "n": "ok"} if value[0] == 7 else {"n": "ok"}
    assert found == Frame(strings, b"p")


@rows(
    "headers",
    [
        b"\1",
        b"\2a",
        b"\1a",
        b"\1a\x0a",
        b"\1a\7",
        b"\1a\7\0\2x",
        b"\1a\5abc",
        b"\1\xff\7\0\0",
        b"\0",
    ],
)
def test_headers_that_cannot_be_read_are_told(headers: bytes) -> None:
    with pytest.raises(FrameError):
        cut(with_headers(headers, b"payload"))


@rows(("total", "headers"), [(0, 0), (15, 0), (16, 1), (2**32 - 1, 0), (200_000, 150_000)])
def test_impossible_lengths_are_told_before_anything_is_kept(total: int, headers: int) -> None:
    lengths = pack("!II", total, headers)
    with pytest.raises(FrameError):
        list(FrameCutter().feed(lengths + pack("!I", crc32(lengths))))


@given(st.dictionaries(texts(max_size=60), texts(), max_size=5), st.binary(), st.integers(1, 9))
def test_any_frame_is_read_as_it_was_written(
    headers: dict[str, str], payload: bytes, size: int
) -> None:
    try:
        data = frame(headers, payload)
    except UnicodeEncodeError:
        return
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert cut(*pieces) == [Frame(headers, payload)]
