"""Signs of life for clients that wait for a stream, where the settings ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.adapters.wire import Client
from tests.streams.conftest import Site, chat
from tests.streams.serving import PLAIN, STREAMS, WHOLE

COMMENT = b": keep-alive\n\n"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
EVENTS = chat_stream(["Hel", "lo"])
KEPT = {"sse_keepalive": 0.05}
ENGINES = ("aiohttp", "httpx")


def begin(client: Client, request: bytes) -> Any:
    """Send a request for a stream; the pieces of its body."""
    client.send(request)
    head = client.read_head()
    assert (head.status, head.header("content-type")) == (200, "text/event-stream")
    return iter(client.read_body(head))


@pytest.mark.parametrize("engine", ENGINES)
def test_comments_come_before_the_first_event_and_between_events(
    site: Site, upstream: FakeUpstream, engine: str
) -> None:
    first, second = Gate(), Gate()
    upstream.script(Stream([EVENTS[0], second, *EVENTS[1:]], delay=first))
    with Client(site.port(upstream_client=engine, **KEPT)) as client:
        pieces = begin(client, chat(stream=True))
        assert [next(pieces), next(pieces)] == [COMMENT, COMMENT]
        first.open()
        body = b""
        while not body.endswith(EVENTS[0] + COMMENT):
            body += next(pieces)
        second.open()
        body += b"".join(pieces)
    assert body.replace(COMMENT, b"") == b"".join(EVENTS)


def test_clients_of_messages_get_pings(site: Site, upstream: FakeUpstream) -> None:
    gate = Gate()
    upstream.script(Stream(EVENTS, delay=gate))
    with Client(site.port(**KEPT)) as client:
        pieces = begin(client, chat(target="/v1/messages", stream=True, max_tokens=9))
        assert [next(pieces), next(pieces)] == [PING, PING]
        gate.open()
        body = b"".join(pieces)
    assert b"message_start" in body
    assert b"message_stop" in body.replace(PING, b"")


def test_comments_never_come_inside_an_event(site: Site, upstream: FakeUpstream) -> None:
    gate = Gate()
    upstream.script(Stream([EVENTS[0], EVENTS[1][:20], gate, EVENTS[1][20:], *EVENTS[2:]]))
    with Client(site.port(**KEPT)) as client:
        pieces = begin(client, chat(stream=True))
        body = b""
        while not body.endswith(COMMENT * 2):
            body += next(pieces)
        assert body == EVENTS[0] + COMMENT * 2
        gate.open()
        assert b"".join(pieces).replace(COMMENT, b"") == b"".join(EVENTS[1:])


def test_a_stream_that_flows_has_no_comments(site: Site, upstream: FakeUpstream) -> None:
    upstream.script(Stream(EVENTS, pause=0.01))
    with Client(site.port(sse_keepalive=5.0)) as client:
        assert client.ask(chat(stream=True)).body == b"".join(EVENTS)


def test_by_default_there_are_none(site: Site, upstream: FakeUpstream) -> None:
    gate = Gate()
    upstream.script(Stream([0.05, EVENTS[0], 0.05, *EVENTS[1:]], delay=gate))
    with Client(site.port()) as client:
        client.send(chat(stream=True))
        assert client.has_nothing(0.05)
        gate.open()
        assert client.read().body == b"".join(EVENTS)


def error_after_comments(body: bytes) -> dict[str, Any]:
    assert body.startswith(COMMENT)
    event = body.replace(COMMENT, b"")
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    return dict(json.loads(event[6:])["error"])


def test_an_upstream_error_after_comments_becomes_an_error_event(
    site: Site, upstream: FakeUpstream
) -> None:
    gate = Gate()
    body = json.dumps(error_body("Too much.", code="busy"), indent=1).encode()
    upstream.always(Answer(429, body=body, delay=gate))
    with Client(site.port(**KEPT)) as client:
        pieces = begin(client, chat(stream=True))
        begun = next(pieces)
        gate.open()
        assert error_after_comments(begun + b"".join(pieces))["code"] == "busy"


def test_a_timeout_after_comments_becomes_an_error_event(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.always(Cut(how="stall"))
    port, ends = site.start(first_byte_timeout=0.2, **KEPT)
    with Client(port) as client:
        error = error_after_comments(b"".join(begin(client, chat(stream=True))))
    assert error["code"] == "upstream_timeout"
    assert PLAIN in error["message"]
    assert len(ends.wait()) == 1


def test_a_stream_that_breaks_after_comments_ends_with_an_error_event(
    site: Site, upstream: FakeUpstream
) -> None:
    gate = Gate()
    upstream.script(Stream([EVENTS[0], gate], end="reset"))
    with Client(site.port(**KEPT)) as client:
        pieces = begin(client, chat(stream=True))
        body = b""
        while not body.endswith(COMMENT):
            body += next(pieces)
        gate.open()
        body += b"".join(pieces)
    body = body.replace(COMMENT, b"")
    assert body.startswith(EVENTS[0] + b'data: {"error":')
    assert b'"stream_interrupted"' in body


def test_a_whole_answer_after_comments_becomes_a_stream_if_it_is_bridged(
    site: Site, upstream: FakeUpstream
) -> None:
    gate = Gate()
    upstream.script(Answer(body=chat_completion("Hello"), delay=gate))
    with Client(site.port(**KEPT)) as client:
        pieces = begin(client, chat(WHOLE, stream=True))
        begun = next(pieces)
        gate.open()
        body = (begun + b"".join(pieces)).replace(COMMENT, b"")
    *events, done, end = body.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * 2


def test_a_whole_answer_after_comments_is_one_event_if_it_is_not(
    site: Site, upstream: FakeUpstream
) -> None:
    gate = Gate()
    completion = chat_completion("Hel\nlo")
    body = json.dumps(completion, indent=1).replace("\n", "\r\n").encode()
    headers = [("content-type", "application/json")]
    upstream.script(Answer(headers=headers, body=body, delay=gate))
    with Client(site.port(**KEPT)) as client:
        pieces = begin(client, chat(stream=True))
        begun = next(pieces)
        gate.open()
        event = (begun + b"".join(pieces)).replace(COMMENT, b"")
    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: ")) == completion


@pytest.mark.parametrize("members", [{}, {"stream": False}, {"stream": None}])
@pytest.mark.parametrize("host", [PLAIN, STREAMS])
def test_a_client_that_did_not_ask_for_a_stream_gets_no_comment_before_its_answer(
    site: Site, upstream: FakeUpstream, members: dict[str, object], host: str
) -> None:
    gate = Gate()
    upstream.script(Answer(400, body=error_body("No."), delay=gate))
    with Client(site.port(**KEPT)) as client:
        client.send(chat(host, **members))
        assert client.has_nothing(0.05)
        gate.open()
        assert client.read().status == 400


def test_a_refusal_before_the_first_comment_keeps_its_status(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(400, body=error_body("No.")))
    with Client(site.port(**KEPT)) as client:
        answer = client.ask(chat(stream=True))
    assert (answer.status, answer.header("content-type")) == (400, "application/json")
