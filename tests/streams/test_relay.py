"""Streams through the mesh on real sockets: what the client gets is what the provider sent."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)
from tests.adapters.wire import Client
from tests.streams.conftest import Site, chat
from tests.streams.pieces import PLACES, cut
from tests.streams.serving import PLAIN, STREAMS, UNCOUNTED, WHOLE
from tests.texts import texts

DONE = b"data: [DONE]\n\n"
EVENTS = ("content-type", "text/event-stream")
COUNTS = token_usage(7, 2)


def event(**members: object) -> bytes:
    return b"data: " + json.dumps({"id": "c"} | members, ensure_ascii=False).encode() + b"\n\n"


def content(text: str, **more: object) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more)


USAGE = event(choices=[], usage=COUNTS)
STOP = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
PARTS = texts(max_size=12).map(content) | st.sampled_from(
    [
        b": keep-alive\n\n",
        b": c\n",
        b"\n",
        b"event: x\nid: 1\n" + content("x"),
        content("u", usage=COUNTS),
        b'data: {"choices":\ndata: []}\n\n',
    ]
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    parts=st.lists(PARTS, max_size=6),
    counts_at=st.none() | st.integers(0, 6),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    framing=st.sampled_from(["chunked", "close", "length"]),
    places=PLACES,
)
def test_client_bytes_are_upstream_bytes_less_the_counts(
    kept_site: Site,
    parts: list[bytes],
    counts_at: int | None,
    line_end: bytes,
    bom: bytes,
    framing: Any,
    places: list[int],
) -> None:
    events = [*parts, STOP, DONE]
    wanted = bom + b"".join(events).replace(b"\n", line_end)
    if counts_at is not None:
        events.insert(min(counts_at, len(parts)), USAGE)
    sent = bom + b"".join(events).replace(b"\n", line_end)
    kept_site.upstream.clear()
    kept_site.upstream.script(Stream(cut(sent, places), framing=framing))
    answer = kept_site.ask(stream=True)
    assert (answer.status, answer.header("content-type")) == (200, "text/event-stream")
    assert answer.body == wanted


@pytest.mark.parametrize("asked", [None, False, True])
def test_a_client_gets_counts_if_it_asked_and_the_mesh_gets_them_always(
    site: Site, upstream: FakeUpstream, asked: bool | None
) -> None:
    options = {} if asked is None else {"stream_options": {"include_usage": asked, "x": [1]}}
    port, ends = site.start()
    with Client(port) as client:
        answer = client.ask(chat(stream=True, **options))
    sent = upstream.requests[0].json()["stream_options"]
    assert sent == {"include_usage": True} | ({} if asked is None else {"x": [1]})
    assert (b'"prompt_tokens"' in answer.body) is (asked is True)
    assert answer.body.endswith(DONE)
    [(status, error, usage)] = ends.wait()
    assert (status, error) == (200, None)
    assert usage is not None
    assert usage.input_tokens == 4


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False, "x": 1}}])
def test_a_provider_that_must_not_be_asked_for_counts_is_not(
    site: Site, upstream: FakeUpstream, options: dict[str, object]
) -> None:
    answer = site.ask(UNCOUNTED, stream=True, **options)
    assert upstream.requests[0].json().get("stream_options") == options.get("stream_options")
    assert answer.body.endswith(DONE)


def test_what_such_a_provider_counts_unasked_is_passed_on(
    site: Site, upstream: FakeUpstream
) -> None:
    sent = [content("a"), STOP, USAGE, DONE]
    upstream.script(Stream(sent))
    assert site.ask(UNCOUNTED, stream=True).body == b"".join(sent)


def test_a_text_completion_is_streamed_like_a_chat(site: Site, upstream: FakeUpstream) -> None:
    answer = site.ask(target="/v1/completions", stream=True, prompt="Hi there")
    assert upstream.requests[0].json()["stream_options"] == {"include_usage": True}
    assert answer.body.count(b'"text"') == 5
    assert b"prompt_tokens" not in answer.body
    assert answer.body.endswith(DONE)


def test_a_responses_stream_passes_untouched(site: Site, upstream: FakeUpstream) -> None:
    port, ends = site.start()
    with Client(port) as client:
        answer = client.ask(chat(target="/v1/responses", stream=True, input="Hi"))
    assert "stream_options" not in upstream.requests[0].json()
    assert answer.body.startswith(b"event: response.created\n")
    assert b"event: response.completed\n" in answer.body
    [(_, error, usage)] = ends.wait()
    assert error is None
    assert usage is not None
    assert usage.output_tokens == 3


# The form a client asked for against the form its provider is set to.

COMPLETION = chat_completion("Hel lo", usage=COUNTS)
EVENT_STREAM = Stream(chat_stream(["Hel", " lo"], usage=COUNTS, include_usage=True))


@pytest.mark.parametrize(
    ("host", "asked", "accept", "sent_upstream", "gets_stream"),
    [
        (PLAIN, None, "", None, False),
        (PLAIN, None, "*/*", None, False),
        (PLAIN, None, "application/json", None, False),
        (PLAIN, None, "text/event-stream", None, False),
        (PLAIN, None, "application/json, Text/Event-Stream;q=0.5", None, False),
        (PLAIN, False, "", False, False),
        (PLAIN, True, "", True, True),
        (STREAMS, None, "", True, False),
        (STREAMS, None, "*/*", True, False),
        (STREAMS, None, "application/json", True, False),
        (STREAMS, None, "text/event-stream", True, True),
        (STREAMS, None, "application/json, Text/Event-Stream;q=0.5", True, True),
        (STREAMS, False, "", True, False),
        (STREAMS, True, "", True, True),
        (WHOLE, None, "", False, False),
        (WHOLE, None, "*/*", False, False),
        (WHOLE, None, "application/json", False, False),
        (WHOLE, None, "text/event-stream", False, False),
        (WHOLE, None, "application/json, Text/Event-Stream;q=0.5", False, False),
        (WHOLE, False, "", False, False),
        (WHOLE, True, "", False, True),
    ],
)
def test_a_client_gets_the_form_it_asked_for(
    site: Site,
    upstream: FakeUpstream,
    host: str,
    asked: bool | None,
    accept: str,
    sent_upstream: bool | None,
    gets_stream: bool,
) -> None:
    port, ends = site.start()
    upstream.script(lambda r: EVENT_STREAM if r.json().get("stream") else Answer(body=COMPLETION))
    members = {} if asked is None else {"stream": asked}
    with Client(port) as client:
        answer = client.ask(chat(host, *[f"Accept: {accept}"][: len(accept)], **members))
    assert upstream.requests[0].json().get("stream") is sent_upstream
    assert answer.status == 200
    if gets_stream:
        assert answer.header("content-type") == "text/event-stream"
        events = [one.removeprefix(b"data: ") for one in answer.body.split(b"\n\n")[:-1]]
        assert events.pop() == b"[DONE]"
        choices = [choice for one in events for choice in json.loads(one)["choices"]]
        assert "".join(c["delta"].get("content") or "" for c in choices) == "Hel lo"
        assert not any(json.loads(one).get("usage") for one in events)
        assert choices[-1]["finish_reason"] == "stop"
    else:
        assert answer.header("content-type") == "application/json"
        assert answer.header("content-length") == str(len(answer.body))
        found = answer.json()
        assert found["object"] == "chat.completion"
        assert found["usage"] == COUNTS
        assert found["choices"][0]["message"] == {"role": "assistant", "content": "Hel lo"}
        assert found["choices"][0]["finish_reason"] == "stop"
    [(status, error, usage)] = ends.wait()
    assert (status, error) == (200, None)
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (7, 2)


def test_a_bridged_stream_has_counts_for_a_client_that_asked(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(body=COMPLETION))
    answer = site.ask(WHOLE, stream=True, stream_options={"include_usage": True})
    assert "stream_options" not in upstream.requests[0].json()
    *_, last, done, end = answer.body.split(b"\n\n")
    assert (json.loads(last[6:])["usage"], done, end) == (COUNTS, b"data: [DONE]", b"")


@pytest.mark.parametrize("host", [PLAIN, WHOLE, STREAMS])
@pytest.mark.parametrize("status", [400, 401, 422])
def test_an_error_answer_to_a_stream_request_is_json_with_its_status(
    site: Site, upstream: FakeUpstream, host: str, status: int
) -> None:
    body = error_body("This is refused.", code="refused")
    upstream.always(Answer(status, body=body))
    answer = site.ask(host, stream=True)
    assert (answer.status, answer.header("content-type")) == (status, "application/json")
    assert answer.json() == body


def test_a_json_answer_to_a_stream_request_passes_as_json(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(body=COMPLETION))
    answer = site.ask(stream=True)
    assert answer.header("content-type") == "application/json"
    assert answer.json() == COMPLETION


def test_events_that_nobody_asked_for_are_aggregated(site: Site, upstream: FakeUpstream) -> None:
    upstream.script(EVENT_STREAM)
    answer = site.ask()
    assert answer.header("content-type") == "application/json"
    assert answer.json()["choices"][0]["message"]["content"] == "Hel lo"


@pytest.mark.parametrize("target", ["/v1/embeddings", "/v1/responses"])
def test_events_that_cannot_be_aggregated_are_refused(
    site: Site, upstream: FakeUpstream, target: str
) -> None:
    upstream.always(Stream([event(type="response.completed", response={})]))
    answer = site.ask(target=target, input="Hi")
    assert answer.status == 502
    assert answer.error()["code"] == "upstream_protocol_error"


@pytest.mark.parametrize(
    "stream",
    [
        Stream([content("a")]),
        Stream([content("a"), b"data: {\n\n", STOP, DONE]),
        Stream([content("a"), event(error={"message": "no"}), DONE]),
        Stream([event(choices=5), DONE]),
        Stream([content("a"), STOP], end="reset"),
        Stream([DONE]),
    ],
)
@pytest.mark.parametrize("host", [PLAIN, STREAMS])
def test_events_that_are_not_whole_are_no_answer(
    site: Site, upstream: FakeUpstream, stream: Stream, host: str
) -> None:
    upstream.always(stream)
    answer = site.ask(host, stream=False)
    assert answer.status == 502
    assert answer.error()["code"] == "upstream_protocol_error"


# Compression, though `identity` was asked for.


def compressed(coding: str, data: bytes) -> bytes:
    return gzip.compress(data) if coding == "gzip" else zlib.compress(data)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_stream_reaches_the_client_readable(
    site: Site, upstream: FakeUpstream, coding: str
) -> None:
    body = compressed(coding, b"".join([content("é"), STOP, USAGE, DONE]))
    headers = [EVENTS, ("content-encoding", coding)]
    upstream.script(Stream(cut(body, list(range(0, 100, 9))), headers=headers))
    answer = site.ask(PLAIN, "Accept-Encoding: gzip, br", stream=True)
    assert answer.header("content-encoding") is None
    assert answer.body == content("é") + STOP + DONE
    assert upstream.requests[0].header("accept-encoding") in (None, "identity")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("host", [PLAIN, WHOLE])
def test_a_compressed_answer_reaches_the_client_readable(
    site: Site, upstream: FakeUpstream, coding: str, host: str
) -> None:
    body = compressed(coding, json.dumps(COMPLETION).encode())
    upstream.script(
        Answer(
            headers=[("content-type", "application/json"), ("content-encoding", coding)], body=body
        )
    )
    answer = site.ask(host)
    assert answer.header("content-encoding") is None
    assert answer.json() == COMPLETION


def test_a_compressed_stream_is_bridged_too(site: Site, upstream: FakeUpstream) -> None:
    headers = [EVENTS, ("content-encoding", "gzip")]
    upstream.script(Stream([gzip.compress(b"".join(chat_stream(["a", "b"])))], headers=headers))
    answer = site.ask(STREAMS, stream=False)
    assert answer.json()["choices"][0]["message"]["content"] == "ab"


@pytest.mark.parametrize("status", [200, 400])
def test_a_corrupt_compressed_answer_is_no_answer(
    site: Site, upstream: FakeUpstream, status: int
) -> None:
    upstream.always(
        Answer(
            status,
            [("content-type", "application/json"), ("content-encoding", "gzip")],
            gzip.compress(json.dumps(COMPLETION).encode())[:-12],
        )
    )
    answer = site.ask()
    assert answer.status == 502
    assert answer.error()["code"] == "upstream_protocol_error"


def test_a_bomb_is_no_answer(site: Site, upstream: FakeUpstream) -> None:
    body = gzip.compress(b'"' + b" " * 1_000_000 + b'"')
    headers = [("content-type", "application/json"), ("content-encoding", "gzip")]
    upstream.always(Answer(headers=headers, body=body))
    with Client(site.port(max_response_bytes=100_000)) as client:
        assert client.ask(chat()).status == 502
    assert site.ask().status == 200


def test_a_stream_in_a_coding_that_cannot_be_read_is_no_answer(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.always(Stream([b"\x1b\x2b"], headers=[EVENTS, ("content-encoding", "br")]))
    answer = site.ask(stream=True)
    assert answer.status == 502
    assert answer.error()["code"] == "upstream_protocol_error"
