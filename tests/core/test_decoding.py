"""Answers that come compressed although nobody asked for it."""

from __future__ import annotations

import contextlib
import gzip
import sys
import tracemalloc
import zlib
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.http.decoding import DECODABLE, BodyDecoder, DecodingError
from tests.rows import rows
from tests.streams.pieces import PLACES, cut, whole_and_bytes

TEXT = b"data: one\n\ndata: two\n\n" * 3
LIMIT = 1 << 16


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


COMPRESSED = {
    "gzip": ("gzip", gzip.compress(TEXT, mtime=0)),
    "x-gzip": ("x-gzip", gzip.compress(TEXT, mtime=0)),
    "gzip in two members": (
        "gzip",
        b"".join(gzip.compress(t, mtime=0) for t in (TEXT[:9], TEXT[9:])),
    ),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without header": ("deflate", raw_deflate(TEXT)),
}


def decoded(coding: str, pieces: list[bytes], max_bytes: int = LIMIT) -> bytes:
    decoder = BodyDecoder(coding, max_bytes)
    whole = b"".join(map(decoder.feed, pieces))
    decoder.finish()
    return whole


@rows("name", COMPRESSED)
def test_each_coding_is_decoded_in_any_pieces(name: str) -> None:
    coding, body = COMPRESSED[name]
    assert coding in DECODABLE
    for pieces in whole_and_bytes(body):
        assert decoded(coding, pieces) == TEXT


@given(st.binary(max_size=300), PLACES)
def test_what_was_compressed_comes_back(data: bytes, places: list[int]) -> None:
    assert decoded("gzip", cut(gzip.compress(data, mtime=0), places)) == data
    assert decoded("deflate", cut(zlib.compress(data), places)) == data


def test_what_was_flushed_is_decoded_before_the_rest_comes() -> None:
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS + 16)
    first = compressor.compress(b"data: one\n\n") + compressor.flush(zlib.Z_SYNC_FLUSH)
    decoder = BodyDecoder("gzip", LIMIT)
    assert decoder.feed(first) == b"data: one\n\n"
    assert (
        decoder.feed(compressor.compress(b"data: two\n\n") + compressor.flush()) == b"data: two\n\n"
    )
    decoder.finish()


@rows(
    ("coding", "body"),
    [
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(TEXT, mtime=0)[:10] + b"\xff" * 40),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-8] + b"\0" * 8),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"and more"),
        ("deflate", zlib.compress(TEXT)[:-4] + b"\0" * 4),
        ("deflate", b"\xff" * 40),
    ],
)
def test_corrupt_bytes_are_refused(coding: str, body: bytes) -> None:
    with pytest.raises(DecodingError, match="corrupt"):
        decoded(coding, [body])
    with pytest.raises(DecodingError, match="corrupt"):
        decoded(coding, [body[at : at + 1] for at in range(len(body))])


@rows("name", COMPRESSED)
def test_a_body_that_is_cut_off_is_refused(name: str) -> None:
    coding, body = COMPRESSED[name]
    for at in (1, len(body) // 2, len(body) - 1):
        decoder = BodyDecoder(coding, LIMIT)
        decoder.feed(body[:at])
        with pytest.raises(DecodingError, match="cut off"):
            decoder.finish()


def test_an_empty_body_is_complete() -> None:
    assert decoded("gzip", []) == b""
    assert decoded("gzip", [b""]) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_never_becomes_more_than_the_limit(coding: str) -> None:
    data = bytes(10_000_000)
    bomb = gzip.compress(data) if coding == "gzip" else zlib.compress(data)
    decoder = BodyDecoder(coding, 100_000)
    with pytest.raises(DecodingError, match="longer than 100000 bytes"):
        decoder.feed(bomb)


def test_a_bomb_of_many_members_never_becomes_more_than_the_limit() -> None:
    decoder = BodyDecoder("gzip", 100_000)
    with pytest.raises(DecodingError, match="longer than 100000 bytes"):
        decoder.feed(gzip.compress(bytes(60_000)) * 100)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_takes_no_more_memory_than_the_limit_a_few_times(coding: str) -> None:
    data = bytes(30_000_000)
    bomb = gzip.compress(data) if coding == "gzip" else zlib.compress(data)
    decoder = BodyDecoder(coding, 1_000_000)
    tracemalloc.start()
    with pytest.raises(DecodingError):
        decoder.feed(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_what_is_decoded_already_counts_against_the_memory_of_the_rest() -> None:
    bomb = gzip.compress(bytes(900_000)) + gzip.compress(bytes(30_000_000))
    decoder = BodyDecoder("gzip", 1_000_000)
    tracemalloc.start()
    with pytest.raises(DecodingError):
        decoder.feed(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000


def calls_of_decoding(body: bytes) -> int:
    """How many calls it takes to decode `body`, or to refuse it."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    decoder = BodyDecoder("gzip", 1 << 24)
    sys.setprofile(count)
    try:
        with contextlib.suppress(DecodingError):
            decoder.feed(body)
    finally:
        sys.setprofile(None)
    return calls


def members_of(content: bytes, count: int) -> bytes:
    return gzip.compress(content, mtime=0) * count


@rows("content", [b"", b"x", b"x" * 100])
def test_members_of_little_content_are_refused_after_the_first_thousands(content: bytes) -> None:
    few, many = (calls_of_decoding(members_of(content, n)) for n in (20_000, 100_000))
    assert many == few
    with pytest.raises(DecodingError, match="too many members"):
        decoded("gzip", [members_of(content, 20_000)], 1 << 24)
    with pytest.raises(DecodingError, match="too many members"):
        decoded("gzip", [members_of(content, 1000)] * 20, 1 << 24)


def test_members_of_some_content_cost_in_proportion() -> None:
    few, many = (calls_of_decoding(members_of(b"x" * 200, n)) for n in (5000, 10_000))
    assert many / few == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("content", [b"", TEXT])
def test_a_thousand_members_are_decoded(content: bytes) -> None:
    assert decoded("gzip", [members_of(content, 1000)], 1 << 24) == content * 1000


@rows("coding", ["gzip", "deflate"])
@rows(("size", "fits"), [(999, True), (1000, True), (1001, False)])
def test_a_body_of_exactly_the_limit_passes(coding: str, size: int, fits: bool) -> None:
    data = b"x" * size
    body = gzip.compress(data) if coding == "gzip" else zlib.compress(data)
    if fits:
        assert decoded(coding, [body], 1000) == data
    else:
        with pytest.raises(DecodingError):
            decoded(coding, [body], 1000)
