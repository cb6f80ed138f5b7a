"""Streams that break, stall or never begin: the client is told; no truncation looks complete."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from llm_mesh_middleware.exceptions import UpstreamProtocolError, UpstreamTimeout
from llm_mesh_middleware.testing import Answer, Cut, Drip, FakeUpstream, Gate, Stream
from llm_mesh_middleware.testing import chat_stream as fake_stream
from tests.adapters.wire import Client, Response
from tests.streams.conftest import Site, chat
from tests.streams.serving import KEY, PLAIN

DONE = b"data: [DONE]\n\n"
EVENTS = fake_stream(["Hel", "lo"])
CONTENT, STOP = EVENTS[:3], EVENTS[3]
NEVER = Gate()
ENGINES = ("aiohttp", "httpx")


def interruption(answer: Response, *before: bytes) -> dict[str, Any]:
    """The error of the last event; `before` is all that may stand before it."""
    assert answer.status == 200
    assert answer.header("content-type") == "text/event-stream"
    content = b"".join(before)
    assert answer.body.startswith(content + b"data: ")
    assert b"[DONE]" not in answer.body
    last = answer.body.removeprefix(content)
    assert last.endswith(b"\n\n")
    assert last.count(b"\n") == 2
    body = json.loads(last[6:])
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == "stream_interrupted"
    return dict(body["error"])


def broken(*more: bytes, end: Any, **how: Any) -> Stream:
    """Content, `more`, and a break that is a packet of its own."""
    return Stream([*CONTENT, *more, 0.02], end=end, **how)


LYING = [("content-length", "9999"), ("content-type", "text/event-stream")]
TORN = {
    "reset": broken(end="reset"),
    "FIN": broken(end="fin"),
    "FIN with a length": broken(end="fin", framing="length", headers=LYING),
    "bad chunk": broken(end="bad_chunk"),
    "stall": broken(end="stall"),
    "half an event and a reset": broken(STOP[:20], end="reset"),
}
BREAKS = TORN | {
    "early end": Stream(CONTENT),
    "early end, close-delimited": Stream(CONTENT, framing="close"),
    "half an event and its end": Stream([*CONTENT, STOP[:20]]),
    "malformed event": Stream([*CONTENT, 0.03, b"data: {oops\n\n", STOP, DONE]),
    "half of [DONE]": Stream([*CONTENT, b"data: [DO"]),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_off_ends_with_an_error_event(
    site: Site, upstream: FakeUpstream, name: str, engine: str
) -> None:
    port, ends = site.start(upstream_client=engine, idle_timeout=0.3)
    upstream.always(BREAKS[name])
    with Client(port) as client:
        error = interruption(client.ask(chat(stream=True)), *CONTENT)
    assert PLAIN in error["message"]
    [(status, cause, _)] = ends.wait()
    assert status == 200
    assert isinstance(cause, UpstreamTimeout if name == "stall" else UpstreamProtocolError)
    # On a busy machine the broken event may be read with the first, and then it is tried again.
    assert len(upstream.requests) == 1 or name == "malformed event"


@pytest.mark.parametrize("name", TORN)
def test_a_connection_whose_stream_was_cut_short_is_not_used_again(
    site: Site, upstream: FakeUpstream, name: str
) -> None:
    upstream.script(TORN[name], Answer(body={"choices": []}))
    with Client(site.port(idle_timeout=0.3)) as client:
        client.ask(chat(stream=True))
        assert client.ask(chat()).json() == {"choices": []}
    first, second = (request.connection for request in upstream.requests)
    assert first != second


def test_a_break_after_done_is_nobodys_loss(site: Site, upstream: FakeUpstream) -> None:
    for end in ("reset", "fin", "stall", "bad_chunk"):
        upstream.script(broken(STOP, DONE, end=end))
        with Client(site.port(idle_timeout=0.3)) as client:
            assert client.ask(chat(stream=True)).body == b"".join([*CONTENT, STOP, DONE])


def test_an_end_without_done_is_complete_if_the_choice_is_finished(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.script(Stream([*CONTENT, STOP]))
    assert site.ask(stream=True).body == b"".join([*CONTENT, STOP])


def test_the_providers_own_error_event_arrives_without_our_key(
    site: Site, upstream: FakeUpstream
) -> None:
    told = b'data: {"error":{"message":"bad key %s"}}\n\n' % KEY.encode()
    port, ends = site.start()
    upstream.script(Stream([*CONTENT, told]))
    with Client(port) as client:
        body = client.ask(chat(stream=True)).body
    assert body == b"".join(CONTENT) + told.replace(KEY.encode(), b"***")
    [(status, error, _)] = ends.wait()
    assert status == 200
    assert isinstance(error, UpstreamProtocolError)


def test_a_line_without_end_ends_the_stream(site: Site, upstream: FakeUpstream) -> None:
    upstream.script(Stream([*CONTENT, b"data: ", *[b"x" * (1 << 20)] * 40], end="stall"))
    error = interruption(site.ask(stream=True), *CONTENT)
    assert "event of more than" in error["message"]
    assert upstream.requests[0].wait_disconnected()
    assert upstream.requests[0].sent_bytes < 30 << 20


# Before the first byte there is still a status to tell with.

SILENT = {
    "no headers": Cut(how="stall"),
    "no body": Stream([NEVER]),
    "headers byte by byte": Drip(Stream([NEVER]), interval=0.02),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_first_token_that_never_comes_is_a_504_at_the_first_byte_timeout(
    site: Site, upstream: FakeUpstream, name: str
) -> None:
    upstream.always(SILENT[name])
    began = time.monotonic()
    answer = site.ask("timed", "limit: first-byte", stream=True)
    took = time.monotonic() - began
    assert answer.status == 504
    assert answer.error()["code"] == "upstream_timeout"
    assert f"{PLAIN} sent no first byte of its response within 0.1 s" in answer.error()["message"]
    assert 0.1 <= took < 10
    assert upstream.requests[-1].wait_disconnected()


def test_the_first_byte_timeout_of_the_settings_holds_where_a_rule_has_none(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.always(Stream([NEVER]))
    with Client(site.port(first_byte_timeout=0.1)) as client:
        assert client.ask(chat(stream=True)).status == 504


def test_a_rules_idle_timeout_ends_a_stalled_stream(site: Site, upstream: FakeUpstream) -> None:
    upstream.always(Stream(CONTENT, end="stall"))
    began = time.monotonic()
    error = interruption(site.ask("timed", "limit: idle", stream=True), *CONTENT)
    assert error["message"] == f"{PLAIN} sent no further byte of its response within 0.2 s"
    assert 0.2 <= time.monotonic() - began < 10
    assert upstream.requests[0].wait_disconnected()


def test_a_stream_that_keeps_moving_outlives_the_idle_timeout(
    site: Site, upstream: FakeUpstream
) -> None:
    events = [*fake_stream(["x"] * 12)]
    upstream.script(Stream(events, pause=0.03))
    began = time.monotonic()
    assert site.ask("timed", "limit: idle", stream=True).body == b"".join(events)
    assert time.monotonic() - began > 0.3


def test_a_providers_comments_keep_a_stream_from_being_idle(
    site: Site, upstream: FakeUpstream
) -> None:
    chunks = [CONTENT[0], *[b": ping\n\n"] * 8, STOP, DONE]
    upstream.script(Stream(chunks, pause=0.03))
    assert site.ask("timed", "limit: idle", stream=True).body == b"".join(chunks)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_request_timeout_ends_a_stream_that_keeps_moving(
    site: Site, upstream: FakeUpstream, engine: str
) -> None:
    def endless() -> Any:
        while True:
            yield CONTENT[1]

    with Client(site.port(upstream_client=engine)) as client:
        client.ask(chat())  # to import httpx takes a while
        upstream.always(lambda _: Stream(endless(), pause=0.03))
        began = time.monotonic()
        answer = client.ask(chat("timed", "limit: whole", stream=True))
    count = answer.body.count(CONTENT[1])
    error = interruption(answer, *[CONTENT[1]] * count)
    assert error["message"] == f"{PLAIN} did not finish its response within 0.4 s"
    assert 0.4 <= time.monotonic() - began < 10
    assert count >= 2
    assert upstream.requests[-1].wait_disconnected()


def test_the_request_timeout_holds_while_the_client_is_slower_than_the_stream(
    site: Site, upstream: FakeUpstream
) -> None:
    big = b"data: " + json.dumps({"choices": [], "x": "x" * 60_000}).encode() + b"\n\n"

    def endless() -> Any:
        while True:
            yield big

    upstream.always(lambda _: Stream(endless()))
    began = time.monotonic()
    with Client(site.port()) as client:
        client.send(chat("timed", "limit: whole", stream=True))
        head = client.read_head()
        received = 0
        for piece in client.read_body(head):
            received += len(piece)
            time.sleep(0.002)
            last = piece
    assert b"did not finish its response within 0.4 s" in last
    assert 0.4 <= time.monotonic() - began < 10


def test_a_body_that_is_no_stream_has_the_same_limits(site: Site, upstream: FakeUpstream) -> None:
    half = Cut(Answer(body={"choices": [], "x": "x" * 500}), at=0.7, how="stall")
    for limit, phrase in (("idle", "no further byte"), ("request", "no further byte")):
        upstream.always(half)
        answer = site.ask("timed", f"limit: {limit}")
        assert answer.status == 504
        assert phrase in answer.error()["message"]
    upstream.always(Drip(Answer(body={"choices": [], "x": "x" * 500}), interval=0.01))
    answer = site.ask("timed", "limit: whole")
    assert answer.status == 504
    assert "did not finish its response within 0.4 s" in answer.error()["message"]


def test_a_stream_that_ends_before_it_begins_is_no_answer(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.always(Stream([]))
    answer = site.ask(stream=True)
    assert answer.status == 502
    assert answer.error()["code"] == "upstream_protocol_error"
