"""Streams, their ends, and callers that leave: the same through every adapter."""

from __future__ import annotations

import json

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Gate,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)
from tests.canaries import canary
from tests.contract.calling import QUESTION, Ask
from tests.contract.conftest import World, rule

STREAMED = QUESTION | {"stream": True}
COUNTED = STREAMED | {"stream_options": {"include_usage": True}}
EVENTS = chat_stream(["Good ", "morning ", "back"], usage=token_usage(5, 12), include_usage=True)
SHORT_S = 0.1
IGNORES_FAILURES = {"outlierDetection": {"consecutiveFailures": 2147483647}}
pytestmark = pytest.mark.every_row  # how a body ends is each adapter's matter


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_a_stream_arrives_byte_for_byte(world: World, framing: str) -> None:
    events = [event.replace(b"\n", b"\r\n") for event in EVENTS]
    world.primary.script(Stream([b": hello\r\n\r\n", *events], framing=framing))  # type: ignore[arg-type]
    world.start()
    answer = world.ask(COUNTED)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.body == b": hello\r\n\r\n" + b"".join(events)


def test_counts_are_asked_for_and_kept_from_a_client_that_did_not(world: World) -> None:
    world.primary.script(Stream(EVENTS))
    world.start()
    answer = world.ask(STREAMED)
    assert world.primary.requests[0].json()["stream_options"] == {"include_usage": True}
    assert b"prompt_tokens" not in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    (entry,) = world.ledger.entries
    assert entry.usage is not None
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (5, 12)


def test_the_first_event_arrives_before_the_provider_has_finished(world: World) -> None:
    gate = Gate()
    world.primary.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    world.start()
    call = world.call(Ask(COUNTED))
    pieces = call.pieces()
    first = next(pieces)
    assert not gate.is_open
    gate.open()
    assert first + b"".join(pieces) == b"".join(EVENTS)


@pytest.mark.parametrize("end", ["reset", "fin", "bad_chunk"])
def test_a_stream_that_breaks_says_so(world: World, end: str) -> None:
    # A reset may overtake what was sent before it, and then there is nothing to be cut short.
    world.primary.script(Stream([*EVENTS[:2], 0.02], end=end))  # type: ignore[arg-type]
    world.start()
    answer = world.ask(COUNTED)
    assert answer.body.startswith(EVENTS[0])
    last = answer.body.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"
    assert b"[DONE]" not in answer.body


def test_a_stream_that_stalls_ends_with_an_error_event(world: World) -> None:
    world.primary.script(Stream(EVENTS[:2], end="stall"))
    world.start(idle_timeout=SHORT_S)
    answer = world.ask(COUNTED)
    assert answer.body.startswith(EVENTS[0])
    assert b"stream_interrupted" in answer.body
    assert world.primary.requests[0].wait_disconnected()


def test_a_stream_whose_first_event_never_comes_is_504(world: World) -> None:
    world.primary.always(Stream([], end="stall"))
    world.start(rule("only", retry={"attempts": 0}), first_byte_timeout=SHORT_S)
    answer = world.ask(COUNTED)
    assert (answer.status, answer.code) == (504, "upstream_timeout")


def test_a_stream_has_no_more_than_the_requests_whole_time(world: World) -> None:
    world.primary.always(Stream([EVENTS[0]] * 200, pause=0.02))
    world.start(request_timeout=2 * SHORT_S)
    answer = world.ask(COUNTED)
    assert b"stream_interrupted" in answer.body


def config(**members: object) -> dict[str, object]:
    own = {"model": "primary-model", "apiKey": canary("primary"), **members}
    return {"configs": {"defaultConfig": {"openAIConfig": own}}, **IGNORES_FAILURES}


def test_one_json_answer_becomes_events(world: World) -> None:
    whole = chat_completion("Good morning back", usage=token_usage(5, 12))
    world.primary.script(Answer(body=whole))
    world.start(spec=config(stream=False))
    answer = world.ask(STREAMED)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"Good morning back" in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert world.primary.requests[0].json()["stream"] is False


def test_events_become_one_json_answer(world: World) -> None:
    world.primary.script(Stream(EVENTS))
    world.start(spec=config(stream=True))
    answer = world.ask({**QUESTION, "stream": False})
    assert answer.json()["choices"][0]["message"]["content"] == "Good morning back"
    assert answer.headers["content-type"] == "application/json"


def test_an_error_before_the_stream_has_its_own_status(world: World) -> None:
    world.primary.script(Answer(400, body=error_body("no", code="odd")))
    world.start()
    answer = world.ask(STREAMED)
    assert (answer.status, answer.code) == (400, "odd")


def test_a_caller_that_leaves_in_mid_stream_closes_the_upstream(world: World) -> None:
    world.primary.script(Stream(EVENTS[:1] * 1000, pause=0.01))
    world.start()
    call = world.call(Ask(COUNTED))
    next(call.pieces())
    call.leave()
    assert world.primary.requests[0].wait_disconnected()


@pytest.mark.notices_at_once
@pytest.mark.parametrize("answer", [Cut(how="stall"), Stream([], end="stall")])
def test_a_caller_that_leaves_while_it_waits_closes_the_upstream_at_once(
    world: World, answer: Cut | Stream
) -> None:
    world.primary.script(answer)
    world.start()
    call = world.call(Ask(STREAMED))
    (request,) = world.primary.wait_for_requests(1)
    call.leave()
    assert request.wait_disconnected()


def test_an_exchange_is_told_of_its_end_once(world: World) -> None:
    world.primary.script(Stream(EVENTS[:1] * 1000, pause=0.01))
    mesh = world.start()
    call = world.call(Ask(COUNTED))
    next(call.pieces())
    call.leave()
    assert world.primary.requests[0].wait_disconnected()
    assert world.ask().status == 200
    first = world.ledger.entries[0]
    assert [event for event in first.events if event.startswith("ended")] == ["ended 200"]
    assert type(first.error).__name__ == "ClientDisconnected"
    assert {status.in_flight for status in mesh.health().values()} == {0}


@pytest.mark.inbound
def test_a_waiting_client_gets_signs_of_life(world: World) -> None:
    world.primary.script(Stream([0.15, EVENTS[0], 0.15, *EVENTS[1:]]))
    world.start(sse_keepalive=0.03)
    answer = world.ask(COUNTED)
    assert answer.body.startswith(b": keep-alive\n\n")
    assert answer.body.replace(b": keep-alive\n\n", b"") == b"".join(EVENTS)
    assert answer.body.count(b": keep-alive") >= 2


@pytest.mark.inbound
def test_after_signs_of_life_a_failure_is_an_event(world: World) -> None:
    world.primary.always(Answer(503, body=error_body("down", code="down"), delay=0.1))
    world.start(rule("only", retry={"attempts": 0}), sse_keepalive=0.03)
    answer = world.ask(COUNTED)
    assert answer.status == 200
    last = answer.body.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "down"


@pytest.mark.inbound
def test_an_answer_that_comes_in_time_needs_no_sign_of_life(world: World) -> None:
    world.start(sse_keepalive=5)
    answer = world.ask()
    assert (answer.status, answer.json()["object"]) == (200, "chat.completion")


def test_parallel_streams_do_not_mix(world: World) -> None:
    gate = Gate()
    for number in range(8):
        events = chat_stream([f"answer {number}"], include_usage=False)
        world.primary.script(Stream([events[0], gate, *events[1:]]))
    world.start()
    calls = [world.call(Ask(COUNTED)) for _ in range(8)]
    opened = [(call, call.pieces()) for call in calls]
    firsts = [next(pieces) for _, pieces in opened]
    gate.open()
    bodies = [first + b"".join(rest) for first, (_, rest) in zip(firsts, opened, strict=True)]
    told = {number for number in range(8) for body in bodies if b"answer %d" % number in body}
    assert told == set(range(8))
    assert all(sum(b"answer %d" % n in body for n in range(8)) == 1 for body in bodies)
