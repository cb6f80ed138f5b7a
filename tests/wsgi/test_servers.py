"""What only a real WSGI server shows: its environ, its workers, and when it lets go."""

from __future__ import annotations

import threading

import pytest

from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, Gate, Stream, chat_stream
from tests.adapters.wire import CHAT, STREAMED_CHAT, Connect, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY
from tests.faults.test_framing import AMBIGUOUS

pytestmark = pytest.mark.slow

EVENTS = chat_stream(["Good ", "morning"], include_usage=False)


def test_a_request_is_served_with_the_key_and_the_model(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    answer = connect(port).ask(request_bytes(DASHSCOPE, target="/"))
    assert (answer.status, answer.json()["object"]) == (200, "chat.completion")
    (request,) = upstream.requests
    assert request.header("authorization") == f"Bearer {DASHSCOPE_KEY}"
    assert request.json()["model"] == "qwen1.5-72b-chat"
    assert request.header("host") == DASHSCOPE


def test_other_hosts_reach_the_application(port: int, connect: Connect) -> None:
    answer = connect(port).ask(request_bytes("app.example", target="/v1/chat/completions"))
    assert (answer.status, answer.body.isdigit()) == (200, True)


def test_an_absolute_target_is_as_good_as_a_host(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    target = f"http://{DASHSCOPE}/v1/embeddings"
    body = b'{"model":"m","input":"Good morning"}'
    answer = connect(port).ask(request_bytes(DASHSCOPE, body, target=target))
    assert answer.status == 200
    assert upstream.requests[0].path == "/compatible-mode/v1/embeddings"


def test_a_target_that_disagrees_with_the_host_is_refused(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    target = f"http://{DASHSCOPE}/v1/chat/completions"
    answer = connect(port).ask(request_bytes("app.example", target=target))
    assert answer.status == 400
    assert not upstream.requests


def test_two_hosts_are_refused(port: int, upstream: FakeUpstream, connect: Connect) -> None:
    answer = connect(port).ask(request_bytes(DASHSCOPE, CHAT, "Host: app.example"))
    assert answer.status == 400
    assert not upstream.requests


@pytest.mark.parametrize(("pieces", "status"), [(3, 200), (30, 413)])
def test_a_chunked_body_is_read_up_to_the_limit(
    port: int, upstream: FakeUpstream, connect: Connect, pieces: int, status: int
) -> None:
    body = CHAT[:-1] + b',"pad":"' + b"x" * (pieces * 4000) + b'"}'
    chunks = [body[at : at + 4096] for at in range(0, len(body), 4096)]
    head = (
        f"POST / HTTP/1.1\r\nHost: {DASHSCOPE}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    answer = connect(port).ask(head + data + b"0\r\n\r\n")
    assert answer.status == status
    if status == 413:
        assert answer.error()["code"] == "request_too_large"
    assert len(upstream.requests) == (status == 200)


def head(*lines: str) -> bytes:
    first = ("POST / HTTP/1.1", f"Host: {DASHSCOPE}", "Content-Type: application/json")
    return "\r\n".join([*first, *lines, "", ""]).encode()


@pytest.mark.parametrize("length", [100_001, 10**17])
def test_a_long_body_is_413_before_it_is_sent(
    server: str, port: int, upstream: FakeUpstream, connect: Connect, length: int
) -> None:
    if server == "waitress" and length < 10**9:
        pytest.skip("it reads a body that is within its own limit before it calls anybody")
    client = connect(port)
    client.send(head(f"Content-Length: {length}"))
    assert client.read().status == 413
    assert not upstream.requests


def test_a_body_that_waits_for_100_is_served(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    client = connect(port)
    client.send(head(f"Content-Length: {len(CHAT)}", "Expect: 100-continue"))
    assert client.read_head().status == 100
    client.send(CHAT)
    assert client.read().status == 200
    assert upstream.requests[0].header("expect") is None


def test_a_body_that_breaks_off_harms_nobody(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    for framing in (f"Content-Length: {len(CHAT) + 9}", "Transfer-Encoding: chunked"):
        client = connect(port)
        client.send(head(framing) + CHAT[:9])
        client.reset()
    assert connect(port).ask(request_bytes(DASHSCOPE)).status == 200
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_its_connection_closed(
    server: str, port: int, upstream: FakeUpstream, connect: Connect, data: bytes
) -> None:
    if server == "waitress" and b"Content-Length" in data and b"Transfer-Encoding" in data:
        pytest.skip("it takes the chunks and forgets the length, as RFC 9112 6.3 allows")
    client = connect(port)
    client.send(data)
    assert client.read().status in (400, 413, 501, 505)
    assert client.is_closed()
    assert not upstream.requests


def test_an_answer_to_head_has_no_body(port: int, connect: Connect) -> None:
    client = connect(port)
    client.send(request_bytes(DASHSCOPE, b"", "Connection: close", method="HEAD"))
    assert client.read_head().status == 405
    assert client.is_closed()


def test_an_old_client_gets_its_stream_until_the_connection_ends(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(Stream(EVENTS))
    data = request_bytes(DASHSCOPE, STREAMED_CHAT).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    answer = connect(port).ask(data)
    assert (answer.status, answer.header("transfer-encoding")) == (200, None)
    assert answer.body == b"".join(EVENTS)


def test_events_arrive_one_by_one(port: int, upstream: FakeUpstream, connect: Connect) -> None:
    gate = Gate()
    upstream.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    client = connect(port)
    client.send(request_bytes(DASHSCOPE, STREAMED_CHAT))
    head = client.read_head()
    body = iter(client.read_body(head))
    assert next(body) == EVENTS[0]
    assert not gate.is_open
    gate.open()
    assert b"".join(body) == b"".join(EVENTS[1:])


def test_a_client_that_leaves_is_noticed_with_the_next_event(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(Stream(EVENTS[:1] * 1000, pause=0.01))
    client = connect(port)
    client.send(request_bytes(DASHSCOPE, STREAMED_CHAT))
    head = client.read_head()
    next(iter(client.read_body(head)))
    client.reset()
    assert upstream.requests[0].wait_disconnected()


def test_a_slow_answer_holds_up_nobody_else(
    port: int, upstream: FakeUpstream, connect: Connect
) -> None:
    gate = Gate()
    upstream.script(Answer(body={"choices": []}, delay=gate))
    slow = connect(port)
    waiting = threading.Thread(target=lambda: slow.ask(request_bytes(DASHSCOPE)))
    waiting.start()
    assert gate.wait_reached()
    try:
        assert connect(port).ask(request_bytes("app.example")).status == 200
    finally:
        gate.open()
        waiting.join()


def test_a_failure_is_an_error_object(port: int, upstream: FakeUpstream, connect: Connect) -> None:
    upstream.always(Cut(how="reset"))
    answer = connect(port).ask(request_bytes(DASHSCOPE))
    assert (answer.status, answer.error()["code"]) == (502, "upstream_connect_error")


def test_upstream_connections_are_kept(port: int, upstream: FakeUpstream, connect: Connect) -> None:
    before = upstream.accepted_connections
    for _ in range(20):
        client = connect(port)
        assert client.ask(request_bytes(DASHSCOPE)).status == 200
        client.close()
    assert upstream.accepted_connections - before <= 2  # one for each process, at most
