"""Scripted answers and faults are on the raw socket what they say, over plain TCP and TLS alike."""

from __future__ import annotations

import json
import socket
import time

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    CertificateAuthority,
    Cut,
    Drip,
    FakeUpstream,
    Gate,
    Raw,
    RecordedRequest,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.rows import rows
from tests.testing.clients import HOST, Connect, read_all, read_below_tls, read_until, request_bytes

BODY = {"a": "b" * 100}
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 108\r\n\r\n"
    b'{"a":"' + b"b" * 100 + b'"}'
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = STREAM_HEAD + b"transfer-encoding: chunked\r\n"
CLOSE = b"connection: close\r\n\r\n"
ONE_TWO = b"3\r\none\r\n3\r\ntwo\r\n"


def test_an_answer_is_sent_byte_for_byte_and_the_connection_kept(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.always(Answer(body=BODY))
    sock = connect()
    for _ in range(2):
        sock.sendall(request_bytes())
        assert read_until(sock, WHOLE[-10:]) == WHOLE

    assert [request.connection for request in upstream.requests] == [1, 1]
    assert upstream.open_connections == upstream.accepted_connections == 1


ANSWERS: dict[str, tuple[Scripted, bytes, str]] = {
    "status and headers": (
        Answer(429, [("Retry-After", "1")], error_body("Slow down")),
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\ncontent-type: application/json\r\n"
        b"content-length: 89\r\nconnection: close\r\n\r\n"
        b'{"error":{"message":"Slow down","type":"invalid_request_error",'
        b'"param":null,"code":null}}',
        "fin",
    ),
    "text and a status without a name": (
        Answer(599, body="ü"),
        b"HTTP/1.1 599 Unknown\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: 2\r\n" + CLOSE + "ü".encode(),
        "fin",
    ),
    "no content": (Answer(204), b"HTTP/1.1 204 No Content\r\n" + CLOSE, "fin"),
    "a length that lies": (
        Answer(headers=[("Content-Length", "9")], body=b"four"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" + CLOSE + b"four",
        "fin",
    ),
    "chunks": (
        Stream([b"one", b"", b"two"]),
        CHUNKED + CLOSE + ONE_TWO + b"0\r\n\r\n",
        "fin",
    ),
    "framing by length": (
        Stream([b"one", b"two"], framing="length"),
        STREAM_HEAD + b"content-length: 6\r\n" + CLOSE + b"onetwo",
        "fin",
    ),
    "framing by close": (
        Stream([b"one", b"two"], framing="close"),
        STREAM_HEAD + CLOSE + b"onetwo",
        "fin",
    ),
    "stream, then FIN": (Stream([b"one", b"two"], end="fin"), CHUNKED + CLOSE + ONE_TWO, "fin"),
    "stream, then RST": (Stream([b"one", b"two"], end="reset"), CHUNKED + CLOSE + ONE_TWO, "reset"),
    "stream, then a bad chunk": (
        Stream([b"one", b"two"], end="bad_chunk"),
        CHUNKED + CLOSE + ONE_TWO + b"no-size\r\n",
        "fin",
    ),
    "raw": (Raw(b"\x00 no HTTP"), b"\x00 no HTTP", "fin"),
    "raw, then RST": (Raw(b"HTTP/1.1 2", end="reset"), b"HTTP/1.1 2", "reset"),
    "nothing, then FIN": (Cut(), b"", "fin"),
    "nothing, then RST": (Cut(how="reset"), b"", "reset"),
    "half a head": (Cut(Answer(body=BODY), after=20), WHOLE[:20], "fin"),
    "half a head, then RST": (Cut(Answer(body=BODY), after=20, how="reset"), WHOLE[:20], "reset"),
    "all bytes, then RST": (Cut(Raw(b"0123456789"), at=1.0, how="reset"), b"0123456789", "reset"),
    "a part": (Cut(Raw(b"0123456789"), at=0.4), b"0123", "fin"),
    "a drip": (Drip(Raw(b"0123456789"), size=3), b"0123456789", "fin"),
    "a cut drip": (Cut(Drip(Raw(b"0123456789")), after=5, how="reset"), b"01234", "reset"),
    "a drip of a cut": (Drip(Cut(Raw(b"0123456789"), after=5, how="reset")), b"01234", "reset"),
}


@pytest.mark.parametrize(("answer", "expected", "ending"), ANSWERS.values(), ids=ANSWERS)
def test_each_answer_is_on_the_wire_what_it_says(
    upstream: FakeUpstream, connect: Connect, answer: Scripted, expected: bytes, ending: str
) -> None:
    upstream.script(answer)
    sock = connect()
    sock.sendall(request_bytes(None, "Connection: close"))

    received, ended = read_all(sock)

    assert (received, ended) == (expected, ending)
    assert upstream.wait_closed()
    assert upstream.requests[0].disconnected_at is None


def test_a_reset_after_much_data_takes_none_of_it_back(
    upstream: FakeUpstream, connect: Connect
) -> None:
    data = bytes(range(256)) * 40_000  # more than the sockets hold between them
    upstream.script(Raw(data, end="reset"))
    sock = connect()
    sock.sendall(request_bytes())

    assert read_all(sock) == (data, "reset")


def test_a_reset_under_tls_is_a_tcp_reset(ca: CertificateAuthority) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        upstream.script(Cut(how="reset"))
        with (
            socket.create_connection(("127.0.0.1", upstream.port), 2) as sock,
            ca.client_context().wrap_socket(sock, server_hostname=HOST) as tls,
        ):
            tls.sendall(request_bytes())
            assert upstream.wait_closed()
            assert read_below_tls(tls) == "reset"  # Python's TLS layer would call it an EOF


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Cut(how="stall"), b""),
        (Cut(Raw(b"0123456789"), after=4, how="stall"), b"0123"),
        (Raw(b"HTTP/1.1 ", end="stall"), b"HTTP/1.1 "),
        (Stream([b"one"], end="stall"), CHUNKED + CLOSE + b"3\r\none\r\n"),
    ],
)
def test_a_stall_sends_its_part_and_then_nothing(
    upstream: FakeUpstream, connect: Connect, answer: Scripted, said: bytes
) -> None:
    upstream.script(answer)
    sock = connect()
    sock.sendall(request_bytes())
    received = read_until(sock, said)
    sock.settimeout(0.03)
    with pytest.raises(TimeoutError):
        sock.recv(1)

    assert received == said
    assert upstream.requests[0].sent_bytes == len(said)


def test_a_drip_comes_in_pieces_headers_included(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.script(Drip(Raw(b"HTTP/1.1"), interval=60, size=2))
    sock = connect()
    sock.sendall(request_bytes())

    assert sock.recv(99) == b"HT"


def test_a_drip_pauses_between_its_pieces(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.script(Drip(Raw(b"HTTP/1.1"), interval=0.005, size=2))
    sock = connect()
    start = time.monotonic()
    sock.sendall(request_bytes())

    assert b"".join(iter(lambda: sock.recv(99), b"")) == b"HTTP/1.1"
    assert time.monotonic() - start >= 0.014


def test_a_stream_waits_at_its_gate_until_that_is_opened(
    upstream: FakeUpstream, connect: Connect
) -> None:
    gate = Gate()
    upstream.script(Stream([b"one", gate, b"two"]))
    sock = connect()
    sock.sendall(request_bytes())

    assert gate.wait_reached()
    assert read_until(sock, b"one\r\n") == CHUNKED + b"\r\n3\r\none\r\n"
    assert upstream.requests[0].answered_at is None
    gate.open()
    assert read_until(sock, b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_a_gate_lets_all_pass_at_once_and_stays_open(
    upstream: FakeUpstream, connect: Connect
) -> None:
    gate = Gate()
    upstream.always(Answer(body=b"ok", delay=gate))
    socks = [connect() for _ in range(3)]
    for sock in socks:
        sock.sendall(request_bytes())
    upstream.wait_for_requests(3)
    assert not gate.is_open
    gate.open()
    for sock in [*socks, socks[0]]:
        assert read_until(sock, b"ok")
        sock.sendall(request_bytes())


@pytest.mark.parametrize(
    "answer", [Answer(body=b"end", delay=0.03), Stream([b"a", 0.03, b"end"], framing="length")]
)
def test_waits_take_their_time(upstream: FakeUpstream, connect: Connect, answer: Scripted) -> None:
    upstream.script(answer)
    sock = connect()
    sock.sendall(request_bytes())
    read_until(sock, b"end")
    request = upstream.requests[0]

    assert request.wait_answered()
    assert request.answered_at is not None
    assert request.answered_at - request.received_at >= 0.03


def test_the_pause_lies_between_pieces_only(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.script(Stream([b"a", b"b", b"c"], pause=0.02, framing="close"))
    sock = connect()
    sock.sendall(request_bytes())
    read_all(sock)
    request = upstream.requests[0]

    assert request.wait_answered()
    assert request.answered_at is not None
    assert request.answered_at - request.received_at >= 0.04


def test_a_script_is_used_up_in_order_then_the_standing_answer_then_the_provider(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.always(Answer(body=b"3!"))
    upstream.script(Answer(body=b"1!"), Answer(body=b"2!"))
    sock = connect()
    for expected in (b"1!", b"2!", b"3!", b"3!"):
        sock.sendall(request_bytes())
        assert read_until(sock, b"!").endswith(expected)
    upstream.always(None)
    sock.sendall(request_bytes())

    assert b"You said: Good morning to you" in read_until(sock, b"}}")


def test_a_callable_sees_the_request_and_may_leave_it_to_the_provider(
    upstream: FakeUpstream, connect: Connect
) -> None:
    def refuse_first(request: RecordedRequest) -> Answer | None:
        return Answer(503, body=request.method) if request.number == 1 else None

    upstream.always(refuse_first)
    sock = connect()
    sock.sendall(request_bytes())
    assert read_until(sock, b"POST").startswith(b"HTTP/1.1 503 ")
    sock.sendall(request_bytes())
    assert read_until(sock, b"}}").startswith(b"HTTP/1.1 200 ")


def test_a_wrapper_without_an_answer_wraps_the_providers_own(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(Drip(size=7), Cut(at=0.5))
    sock = connect()
    sock.sendall(request_bytes())
    whole = read_until(sock, b"}}")
    sock.sendall(request_bytes())
    half, ending = read_all(sock)

    assert ending == "fin"
    assert (
        half == whole.replace(b"req-1", b"req-2").replace(b"cmpl-1", b"cmpl-2")[: len(whole) // 2]
    )


def test_builders_make_what_the_provider_sends(upstream: FakeUpstream, connect: Connect) -> None:
    events = chat_stream(["Hel", "lo"], model="m", include_usage=True)

    assert [event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events] == [
        True
    ] * 6
    assert events[-1] == b"data: [DONE]\n\n"
    assert json.loads(events[-2][6:])["choices"] == []
    assert json.loads(events[0][6:])["usage"] is None
    assert len(chat_stream(["a"], finish_reason=None, done=False)) == 2
    assert chat_completion("Hello there")["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
    }


def test_idle_connections_are_dropped_and_busy_ones_left(
    upstream: FakeUpstream, connect: Connect
) -> None:
    gate = Gate()
    upstream.script(Answer(body=b"idle"), Answer(body=b"busy", delay=gate))
    idle, busy = connect(), connect()
    idle.sendall(request_bytes())
    read_until(idle, b"idle")
    busy.sendall(request_bytes())
    assert gate.wait_reached()

    upstream.drop_connections("reset")

    assert read_all(idle) == (b"", "reset")
    assert upstream.open_connections == 1
    gate.open()
    read_until(busy, b"busy")


def test_a_mute_upstream_accepts_and_says_nothing() -> None:
    with FakeUpstream(mute=True) as upstream:
        with socket.create_connection(("127.0.0.1", upstream.port), 0.03) as sock:
            sock.sendall(b"anything")
            with pytest.raises(TimeoutError):
                sock.recv(1)
            assert (upstream.open_connections, upstream.requests) == (1, [])
        assert upstream.wait_closed()


@rows(
    ("make", "says"),
    [
        (lambda: Cut(at=1.5), "0 to 1"),
        (lambda: Cut(at=0.5, after=3), "0 to 1"),
        (lambda: Cut(after=-1), "not negative"),
        (lambda: Drip(size=0), "at least one byte"),
        (lambda: Stream([], framing="close", end="bad_chunk"), "chunked"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_when_written(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=says):
        make()
