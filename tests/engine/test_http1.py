"""HTTP/1.1 responses: whole, byte by byte and in random pieces."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from types import FrameType

import pytest

from llm_mesh_middleware._engine.http.http1 import NotHTTP, ResponseReader
from tests.engine.answers import ANSWERS, CHUNKED, HINT, OK, SWITCH, pieces, read
from tests.engine.fuzz import fuzz
from tests.rows import rows


@rows("how", ["whole", "byte by byte", "at random"])
@rows(("sent", "body", "keeps"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_the_same_however_it_is_cut(
    sent: bytes, body: bytes, keeps: bool, how: str
) -> None:
    seen = read(pieces(sent, how))

    assert (seen.status // 100, seen.body) == (2, body)
    assert seen.keeps == keeps or (how != "whole" and not keeps)  # the rest is not there yet


def test_fields_keep_their_order_and_duplicates_and_lose_the_blanks_around_them() -> None:
    fields = (
        b"X-Tag:one\r\nx-tag: \ttwo \r\nX-Empty:\r\nX-Long: a\r\n  b\r\nContent-Length: 0\r\n\r\n"
    )

    assert read([OK + fields]).fields == [
        (b"x-tag", b"one"),
        (b"x-tag", b"two"),
        (b"x-empty", b""),
        (b"x-long", b"a b"),
        (b"content-length", b"0"),
    ]


def test_the_fields_of_an_early_hint_are_not_the_answer_s() -> None:
    assert read([HINT + b"HTTP/1.1 204 No Content\r\n\r\n"]).fields == []


BROKEN = {
    "nothing": b"",
    "no status line": b"\r\n" + OK + b"\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "another protocol offered": SWITCH + OK + b"\r\n",
    "a blank before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "no colon": OK + b"Content-Length\r\n\r\n",
    "a zero byte": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": OK + b"X: a\rContent-Length: 0\r\n\r\n",
    "a signed length": OK + b"Content-Length: +2\r\n\r\nok",
    "no number as a length": OK + b"Content-Length: \r\n\r\nok",
    "a length of too many digits": OK + b"Content-Length: 9999999999999999999\r\n\r\nok",
    "two lengths": OK + b"Content-Length: 1, 2\r\n\r\nok",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "too short": OK + b"Content-Length: 6\r\n\r\nhello",
    "no last chunk": CHUNKED + b"1\r\nx\r\n",
    "half a chunk": CHUNKED + b"5\r\nhel",
    "no end of the trailer": CHUNKED + b"0\r\nA: b\r\n",
    "no field in the trailer": CHUNKED + b"0\r\nA\r\n\r\n",
    "a length in the trailer": CHUNKED + b"0\r\ncontent-length: 1\r\n\r\n",
    "a signed chunk": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "a chunk without size": CHUNKED + b";a\r\nx\r\n0\r\n\r\n",
    "a chunk size of too many digits": CHUNKED + b"1" * 16 + b"\r\nx\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"1\r\nxy\r\n0\r\n\r\n",
    "a chunk that ends in a line feed": CHUNKED + b"1\nx\n0\n\n",
}  # fmt: skip


@rows("how", ["whole", "byte by byte", "at random"])
@rows("sent", BROKEN.values(), ids=BROKEN)
def test_what_is_not_http_is_refused(sent: bytes, how: str) -> None:
    with pytest.raises(NotHTTP):
        read(pieces(sent, how))


ENDLESS = {
    "a field": (OK + b"X: ", b"a", 2**17),
    "folds of a field": (OK + b"X: a", b"\r\n b", 2**17),
    "fields": (OK, b"X: a\r\n", 2**17),
    "early hints": (b"", HINT, 2**17),
    "an extension of a chunk": (CHUNKED + b"1;", b"a", 2**14),
    "zeros before a size": (CHUNKED, b"0", 2**14),
    "a trailer": (CHUNKED + b"0\r\nX: ", b"a", 2**14),
    "trailers": (CHUNKED + b"0\r\n", b"X: a\r\n", 2**14),
    "trailers of one packet": (CHUNKED + b"0\r\n", b"X: a\r\n" * 1000, 2**14),
}


@rows(("begin", "more", "limit"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_given_up_at_its_limit(begin: bytes, more: bytes, limit: int) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield begin or more
        while True:
            taken += len(more)
            yield more

    with pytest.raises(NotHTTP):
        read(endless())
    assert taken <= limit + len(more)


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "more"), [each[:2] for each in ENDLESS.values()], ids=ENDLESS)
def test_twice_the_bytes_are_at_most_twice_the_work(begin: bytes, more: bytes) -> None:
    """Work is function calls, and the bytes that are copied or searched again in each of them."""
    few, many = (work_of([begin or more], more, packets) for packets in (2000, 4000))

    assert many <= 2.1 * few


def work_of(parts: list[bytes], more: bytes, packets: int) -> int:
    """Count the calls for `packets` of `more`, byte by byte, or up to where it is given up."""
    calls, data = 0, iter([*parts, *([more[i : i + 1] for i in range(len(more))] * packets)])

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        read(data)
    except NotHTTP:
        pass
    finally:
        sys.setprofile(None)
    return calls


@rows("packet", [1, 7, 2**14])
def test_what_is_held_back_is_never_copied_again(packet: int) -> None:
    """The start of a head or a line is extended in place, however small the packets are."""
    for begin in (OK + b"X: ", CHUNKED + b"1;", CHUNKED + b"0\r\nX: "):
        answer = ResponseReader()
        rest = answer.feed_head(begin)
        if rest:
            answer.feed(rest)
        held = answer._held
        assert held is not None
        feed = answer.feed_head if rest is None else answer.feed
        for _ in range(2**13 // packet):
            feed(b"a" * packet)
        assert answer._held is held


WRONG_AT_ONCE = {
    "bytes behind a chunk": b"1\r\nxyz",
    "a line feed behind a chunk": b"1\r\nx\n",
    "no size": b"xyz",
    "a bare carriage return": b"0\r\n\rx",
    "a response behind the last chunk": b"0\r\nHTTP/1.1 200 OK\r\n",
    "no name of a trailer": b"0\r\n: a",
    "no colon in a trailer": b"0\r\nabc\r\n",
    "a length in the trailer": b"0\r\nContent-Length: 1\r\n",
    "a coding in the trailer": b"0\r\ntransfer-encoding: chunked\r\n",
}


@rows("how", ["whole", "byte by byte", "at random"])
@rows("sent", WRONG_AT_ONCE.values(), ids=WRONG_AT_ONCE)
def test_what_is_wrong_in_chunks_is_noticed_before_more_comes(sent: bytes, how: str) -> None:
    answer = ResponseReader()
    answer.feed_head(CHUNKED)

    with pytest.raises(NotHTTP):
        feed_all(answer, pieces(sent, how))
    assert not answer.keeps


def feed_all(answer: ResponseReader, parts: Iterable[bytes]) -> None:
    for data in parts:
        answer.feed(data)
        if answer.error is not None:  # good bytes came with the fault
            raise answer.error


def test_a_chunk_that_comes_alone_is_read_by_its_size() -> None:
    for size in range(1, 1100):
        content = b"\r\n" * (size // 2) + b"0" * (size % 2)
        for first in (b"%x", b"%X", b"%04x"):
            answer = ResponseReader()
            assert answer.feed_head(CHUNKED) == b""
            assert answer.feed(first % size + b"\r\n" + content + b"\r\n") == content
            assert answer.feed(b"1\r\nx\r\n") == b"x"


def test_no_bytes_of_another_size_are_a_chunk() -> None:
    for total in range(1, 300):
        for begin in (b"\0", b"0"):
            sent = (begin * total)[: max(total - 2, 0)] + b"\r\n"[:total]
            whole, cut = answers_to([sent]), answers_to([sent[at : at + 1] for at in range(total)])
            assert whole == cut == b""


def answers_to(parts: list[bytes]) -> bytes:
    """What is read of the body of a chunked answer, up to what is wrong in it."""
    answer, body = ResponseReader(), b""
    answer.feed_head(CHUNKED)
    with contextlib.suppress(NotHTTP):
        for part in parts:
            body += answer.feed(part)
    return body


def test_what_comes_before_a_wrong_chunk_is_delivered() -> None:
    answer = ResponseReader()
    rest = answer.feed_head(CHUNKED + b"3\r\none\r\nno-size\r\n")

    assert answer.feed(rest or b"") == b"one"
    assert (answer.is_over, answer.keeps) == (True, False)
    assert isinstance(answer.error, NotHTTP)


def test_whatever_is_read_is_what_h11_reads_however_it_is_cut() -> None:
    found = fuzz(200, seed=1)

    assert found.differences == []
    assert found.accepted > 50


@pytest.mark.slow
def test_many_mutations_are_read_as_h11_reads_them() -> None:
    assert fuzz(5_000, seed=2).differences == []
