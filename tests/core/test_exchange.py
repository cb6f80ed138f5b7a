"""The exchange without I/O: its steps, its deadlines, and what becomes of each failure."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.routing.timeouts import Timeouts
from llm_mesh_middleware._core.values.messages import Failure, ResponseHead
from llm_mesh_middleware._core.values.steps import Read, Send, StepResult
from llm_mesh_middleware.exceptions import (
    ClientDisconnected,
    InvalidJSON,
    NoRouteMatched,
    UnsupportedOperation,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from tests.core.scripted import ANSWER, JSON, SSE, Play, answers, head, play, whole
from tests.core.tables import ACME, provider, request, route, table
from tests.rows import rows

TIMES = Timeouts(connect=2, first_byte=10, idle=5, request=60)
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
STREAMING = '{"stream": true, "stream_options": {"include_usage": true}}'
START = 1000.0


def perform(*given: StepResult, body: str = "{}", seconds: float = 0.0, **policy: int) -> Play:
    """One exchange with the provider under TIMES."""
    return play(
        table(provider(), timeouts=TIMES),
        request(body=body),
        *given,
        host=ACME,
        policy=ExchangeSettings(**policy),  # type: ignore[arg-type]
        seconds=seconds,
    )


def kinds(performed: Play) -> list[type]:
    return [type(step) for step in performed.taken]


def phases(performed: Play) -> list[tuple[str, float]]:
    return [(step.deadline.phase, step.deadline.at - START) for step in performed.taken]


def test_a_whole_answer_is_sent_for_and_read_to_its_end() -> None:
    performed = perform(head(200, JSON), ANSWER[:5], ANSWER[5:], b"")
    assert kinds(performed) == [Send, Read, Read, Read]
    assert performed.reply is not None
    assert (performed.reply.status, performed.reply.body) == (200, ANSWER)
    assert not performed.reply.is_stream
    sent = ["selected default", f"sending {ACME}", "answered 200"]
    assert performed.notes.events == [*sent, "ended"]
    assert performed.notes.ends == [(200, None)]


def test_an_answer_whose_body_came_with_its_head_is_not_read() -> None:
    performed = perform(whole(200, ANSWER, JSON))
    assert kinds(performed) == [Send]
    assert performed.reply is not None
    assert (performed.reply.status, performed.reply.body) == (200, ANSWER)
    assert performed.notes.ends == [(200, None)]


@rows("status", [200, 500])
def test_a_body_that_came_with_its_head_has_the_same_limit(status: int) -> None:
    performed = perform(whole(status, b"1" * 101, JSON), max_response_bytes=100)
    assert isinstance(performed.error, UpstreamProtocolError)
    assert performed.error.message == f"{ACME} answered with more than 100 bytes"
    assert kinds(performed) == [Send]


@rows("fields", [[SSE], []], ids=["named", "known by its form"])
def test_a_stream_that_came_with_its_head_is_read_as_any_other(fields: list[str]) -> None:
    performed = perform(whole(200, EVENT + LAST, *fields), EVENT + LAST, body=STREAMING)
    assert kinds(performed) == [Send, Read]
    assert performed.reply is not None
    assert performed.reply.is_stream
    assert performed.read(b"") == [EVENT + LAST]


def test_json_that_came_with_its_head_is_json_for_a_client_that_wants_a_stream() -> None:
    performed = perform(whole(200, ANSWER, JSON), body=STREAMING)
    assert kinds(performed) == [Send]
    assert performed.reply is not None
    assert performed.reply.body == ANSWER


def test_a_stream_is_a_reply_with_its_first_bytes() -> None:
    performed = perform(head(200, SSE), EVENT, body=STREAMING)
    assert kinds(performed) == [Send, Read]
    reply = performed.reply
    assert reply is not None
    assert reply.status == 200
    assert reply.is_stream
    assert performed.notes.ends == []
    assert performed.read(LAST, b"") == [EVENT, LAST]
    assert performed.notes.ends == [(200, None)]


def test_the_upstream_request_is_complete_in_the_first_step() -> None:
    made = perform().sent
    assert (made.method, made.target) == ("POST", "/v1/chat/completions")
    assert (made.endpoint.scheme, made.endpoint.address, made.endpoint.port) == ("https", ACME, 443)
    assert made.connect_timeout_s == TIMES.connect


@rows("seconds", [0, 3, 28])
def test_each_read_has_the_deadline_of_the_request_and_a_later_one_the_idle_limit_too(
    seconds: float,
) -> None:
    performed = perform(head(200, JSON), b"{", b"}", seconds=seconds)
    assert phases(performed) == [("request", 60)] * 4
    limits = [step.idle_s for step in performed.taken if isinstance(step, Read)]
    assert limits == [None, TIMES.idle, TIMES.idle]


@rows("seconds", [0, 3, 4.9])
def test_a_stream_has_one_deadline_up_to_its_first_event_however_it_is_divided(
    seconds: float,
) -> None:
    performed = perform(head(200, SSE), b": wait\n\n", EVENT, body=STREAMING, seconds=seconds)
    assert phases(performed) == [("first_byte", 10)] * 3


def test_the_deadline_of_the_request_goes_before_a_longer_one() -> None:
    times = Timeouts(first_byte=60, idle=60, request=20)
    routes = table(provider(), timeouts=times)
    performed = play(routes, request(), head(200, JSON), b"{", host=ACME)
    assert phases(performed) == [("request", 20)] * 3


def test_a_streams_later_gaps_have_the_idle_deadline_and_end_with_the_requests() -> None:
    performed = perform(head(200, SSE), EVENT, body=STREAMING, seconds=1)
    performed.read(EVENT)
    read = performed.taken[-1]
    assert isinstance(read, Read)
    whole, idle_s = read.deadline, read.idle_s
    assert idle_s is not None
    assert (whole.phase, whole.at, idle_s) == ("request", START + 60, TIMES.idle)
    for now, phase, at in ((2.0, "idle", 7.0), (50.0, "idle", 55.0), (56.0, "request", 60.0)):
        deadline = whole.or_sooner(START + now, "idle", idle_s)
        assert (deadline.phase, deadline.at) == (phase, START + at)


@rows(
    ("own", "connect", "wanted"),
    [
        ("{}", 2, ("first_byte", 10)),
        ("{connect: 1}", 1, ("first_byte", 10)),
        ("{firstByte: 30}", 2, ("first_byte", 30)),
        ("{request: 4}", 2, ("request", 4)),
        ("{connect: 1.5, firstByte: 3, idle: 1, request: 7}", 1.5, ("first_byte", 3)),
    ],
)
def test_a_rules_own_timeouts_go_before_those_of_the_mesh(
    own: str, connect: float, wanted: tuple[str, float]
) -> None:
    rules = f"- timeouts: {own}\n  backendRefs: [{{providerHost: {ACME}}}]"
    asked = request(body=STREAMING)
    performed = play(table(provider(), route(rules), timeouts=TIMES), asked)
    assert performed.sent.connect_timeout_s == connect
    assert phases(performed) == [wanted]


@rows(
    ("phase", "words"),
    [
        ("first_byte", "sent no first byte of its response within 10 s"),
        ("idle", "sent no further byte of its response within 5 s"),
        ("request", "did not finish its response within 60 s"),
    ],
)
def test_a_missed_deadline_is_an_error_that_names_its_phase(phase: str, words: str) -> None:
    whole, stream = perform(head(200, JSON), b"{"), perform(head(200, SSE), body=STREAMING)
    waits = {"first_byte": stream, "request": whole, "idle": whole}
    step = waits[phase].taken[-1]
    assert isinstance(step, Read)
    since = START + (57 if phase == "request" else 0)
    error = step.passed(since)
    assert isinstance(error, UpstreamTimeout)
    assert (error.status, error.code, error.phase) == (504, "upstream_timeout", phase)
    assert error.message == f"{ACME} {words}"


FAILURES = [
    UpstreamConnectError(f"{ACME} refused the connection"),
    UpstreamProtocolError(f"{ACME} closed the connection"),
    UpstreamTimeout(f"{ACME} accepted no connection", phase="connect"),
]


@rows("error", FAILURES, ids=lambda error: type(error).__name__)
@rows(
    "before",
    [[], [head(200, JSON)], [head(200, JSON), b'{"a":'], [head(200, SSE)], [head(429, JSON)]],
    ids=["before the head", "after it", "in the body", "before an event", "in an error"],
)
def test_a_failure_before_the_first_byte_for_the_client_is_raised_as_it_is(
    error: UpstreamError, before: list[ResponseHead | bytes]
) -> None:
    performed = perform(*before, Failure(error), body=STREAMING)
    assert performed.reply is None
    assert performed.error is error
    assert performed.notes.ends == [(error.status, error)]


@rows("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_an_error_and_nobody_learns_where_to(status: int) -> None:
    performed = perform(head(status, "location: https://evil.example/"))
    assert isinstance(performed.error, UpstreamProtocolError)
    assert performed.error.status == 502
    assert ACME in str(performed.error)
    assert "evil" not in str(performed.error)
    assert kinds(performed) == [Send]


@rows(
    ("chunks", "steps"),
    [([b"1" * 101], 2), ([b"1" * 50] * 4, 4), ([b"1"] * 200, 102), ([b"1" * 100, b"1"], 3)],
)
@rows("status", [200, 500])
def test_a_body_over_the_limit_is_not_read_on(status: int, chunks: list[bytes], steps: int) -> None:
    performed = perform(head(status, JSON), *chunks, max_response_bytes=100)
    assert isinstance(performed.error, UpstreamProtocolError)
    assert performed.error.message == f"{ACME} answered with more than 100 bytes"
    assert len(performed.taken) == steps


def test_a_body_of_just_the_limit_is_passed_on() -> None:
    body = b'"' + b"1" * 98 + b'"'
    performed = perform(*answers(200, body, JSON), max_response_bytes=100)
    assert performed.reply is not None
    assert performed.reply.body == body


@rows(
    "body",
    [
        b"",
        b" ",
        b"<html>oops</html>",
        b'{"id":"a","choices":[',
        b'{"id":"a"} trailing',
        b"{'id': 1}",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
@rows("asked", ["{}", STREAMING])
def test_a_good_status_with_a_body_that_is_no_json_is_an_error(body: bytes, asked: str) -> None:
    performed = perform(*answers(200, body, JSON), body=asked)
    assert isinstance(performed.error, UpstreamProtocolError)
    assert performed.error.message == f"{ACME} answered 200 without a whole JSON body"
    assert performed.notes.ends == [(502, performed.error)]


def test_json_for_a_client_that_asked_for_a_stream_is_passed_on_as_json() -> None:
    performed = perform(*answers(200, ANSWER, JSON), body=STREAMING)
    assert performed.reply is not None
    assert not performed.reply.is_stream
    assert (b"content-type", b"application/json") in performed.reply.headers
    assert performed.reply.body == ANSWER


def test_a_stream_that_ends_before_it_begins_is_an_error() -> None:
    performed = perform(head(200, SSE), b"", body=STREAMING)
    assert isinstance(performed.error, UpstreamProtocolError)
    assert performed.notes.ends == [(502, performed.error)]


@rows(
    ("asked", "rules", "error"),
    [
        (request(path="/nowhere"), "", UnsupportedOperation),
        (request(body="["), "", InvalidJSON),
        (request(), "matches: [{headers: {x: {}}}], ", NoRouteMatched),
    ],
    ids=["no operation", "no JSON", "no rule"],
)
def test_a_request_at_fault_ends_before_anything_is_sent(
    asked: object, rules: str, error: type[Exception]
) -> None:
    documents = (provider(), route(f"- {{{rules}backendRefs: [{{providerHost: {ACME}}}]}}"))
    performed = play(table(*documents), asked)  # type: ignore[arg-type]
    assert type(performed.error) is error
    assert performed.taken == []
    assert performed.notes.events == ["ended"]
    assert performed.notes.ends == [(getattr(error, "status", None), performed.error)]


@rows(
    "before",
    [[], [head(200, JSON)], [head(200, JSON), b"{"], [head(200, SSE)]],
    ids=["before the head", "after it", "in the body", "before an event"],
)
def test_a_closed_generator_ends_the_observation_once(before: list[ResponseHead | bytes]) -> None:
    performed = perform(*before, body=STREAMING)
    performed.steps.close()
    performed.steps.close()
    ((status, error),) = performed.notes.ends
    assert status is None
    assert isinstance(error, ClientDisconnected)


def test_a_client_that_goes_away_is_what_the_observation_ends_with() -> None:
    performed, gone = perform(), ClientDisconnected("gone")
    with pytest.raises(ClientDisconnected):
        performed.steps.throw(gone)
    assert performed.notes.ends == [(None, gone)]


@rows("asked", ["{}", STREAMING])
@rows("is_aborted", [False, True])
def test_a_reply_ends_the_observation_once_whichever_way_it_ends(
    asked: str, is_aborted: bool
) -> None:
    given = [head(200, SSE), LAST] if asked is STREAMING else [*answers(200, ANSWER, JSON)]
    performed = perform(*given, body=asked)
    performed.steps.close()  # a generator that is through does not end it again
    assert performed.notes.ends == ([] if asked is STREAMING else [(200, None)])
    if asked is STREAMING and is_aborted:
        performed.read()
        # After [DONE] nothing is missing: clients leave without waiting for the connection's end.
        assert performed.throw(ClientDisconnected("gone")) == b""
    elif asked is STREAMING:
        assert performed.read(b"") == [LAST]
    assert performed.notes.ends == [(200, None)]


def test_a_stream_that_breaks_off_says_so_in_its_last_event() -> None:
    performed = perform(head(200, SSE), EVENT, body=STREAMING)
    error = UpstreamProtocolError(f"{ACME} reset the connection")
    _, event = performed.read(Failure(error))
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert b'"code":"stream_interrupted"' in event
    assert b"[DONE]" not in event
    assert performed.notes.ends == [(200, error)]


def test_what_an_answer_took_is_told_at_its_end() -> None:
    body = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    performed = perform(*answers(200, body, JSON))
    usage = performed.notes.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (3, 4)
