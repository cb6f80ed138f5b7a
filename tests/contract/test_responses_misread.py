"""What a provider means is told by what it sends, whatever it calls it: through every adapter."""

from __future__ import annotations

import json

import pytest

from llm_mesh_middleware.testing import Answer, Stream, chat_completion, chat_stream, token_usage
from tests.contract.calling import QUESTION
from tests.contract.conftest import World, rule
from tests.resilience.meshes import FALLBACK, PRIMARY

STREAMED = QUESTION | {"stream": True}
COUNTED = STREAMED | {"stream_options": {"include_usage": True}}
EVENTS = chat_stream(["Good ", "morning ", "back"], usage=token_usage(5, 12), include_usage=True)
WHOLE = chat_completion("Good morning back", usage=token_usage(5, 12))
EVENT_STREAM = [("content-type", "text/event-stream")]
BOTH = rule("both", PRIMARY, {**FALLBACK, "priority": 1}, retry={"attempts": 1})

ERRORS = [
    {"error": {"message": "no", "code": 503}},
    {"error": {"message": "no", "type": "overloaded_error"}, "user_id": "u"},
    {"error": "no"},
]


@pytest.mark.parametrize(
    "media_type",
    ["text/plain; charset=utf-8", "application/json", "application/octet-stream", "text/html", ""],
)
def test_events_are_events_whatever_their_label(world: World, media_type: str) -> None:
    headers = [("content-type", media_type)] if media_type else []
    world.primary.script(Stream(EVENTS, headers=headers))
    world.start()
    answer = world.ask(COUNTED)
    assert (answer.status, answer.body) == (200, b"".join(EVENTS))
    assert answer.headers["content-type"] == "text/event-stream"
    assert len(world.primary.requests) == 1


@pytest.mark.parametrize("media_type", ["text/event-stream", "text/plain", ""])
def test_json_is_json_whatever_its_label(world: World, media_type: str) -> None:
    headers = [("content-type", media_type)] if media_type else []
    world.primary.script(Answer(200, headers, json.dumps(WHOLE)))
    world.start()
    answer = world.ask(STREAMED)
    assert (answer.status, answer.json()) == (200, WHOLE)
    assert len(world.primary.requests) == 1


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("asked", [QUESTION, STREAMED], ids=["whole", "stream"])
@pytest.mark.parametrize("form", ["JSON", "events"])
def test_an_error_under_200_is_a_failed_attempt(
    world: World, error: dict[str, object], asked: dict[str, object], form: str
) -> None:
    if form == "JSON":
        world.primary.script(Answer(body=error))
    else:
        data = f": hold on\n\ndata: {json.dumps(error)}\n\n"
        world.primary.script(Answer(200, EVENT_STREAM, data))
    world.fallback.script(Answer(body=WHOLE))
    world.start(BOTH)
    answer = world.ask(asked)
    assert (answer.status, answer.json()) == (200, WHOLE)
    assert answer.headers["x-llm-mesh-provider"] == "fallback"


@pytest.mark.parametrize("comments", [[b": OPENROUTER PROCESSING\n\n"], [b"\n", b": a\n", b"\n\n"]])
@pytest.mark.parametrize("end", ["reset", "fin"])
def test_comments_commit_to_nothing(world: World, comments: list[bytes], end: str) -> None:
    pieces = [part for comment in comments for part in (comment, 0.01)]
    world.primary.script(Stream(pieces, end=end))  # type: ignore[arg-type]
    world.fallback.script(Stream(EVENTS))
    world.start(BOTH)
    answer = world.ask(COUNTED)
    assert (answer.status, answer.body) == (200, b"".join(EVENTS))
    assert answer.headers["x-llm-mesh-provider"] == "fallback"


@pytest.mark.parametrize("bad", [b"data: {\n\n", b"data: oops\n\n", b'data: {"a":}\n\n'])
@pytest.mark.parametrize("pause", [0, 0.02])
def test_good_events_before_a_bad_one_are_delivered(world: World, bad: bytes, pause: float) -> None:
    good = EVENTS[:3]
    world.primary.script(Stream([b"".join(good), pause, bad] if pause else [b"".join(good) + bad]))
    world.start(BOTH)
    answer = world.ask(COUNTED)
    assert answer.status == 200
    assert answer.body.startswith(b"".join(good))
    rest = answer.body.removeprefix(b"".join(good))
    assert json.loads(rest.removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"
    assert (len(world.primary.requests), len(world.fallback.requests)) == (1, 0)


@pytest.mark.parametrize("text", [r"a\ud83d", r"\ude00\ud83d"])
def test_half_a_surrogate_pair_passes(world: World, text: str) -> None:
    event = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
    events = [event % text.encode(), *EVENTS[1:]]
    world.primary.script(Stream(events))
    world.start()
    assert world.ask(COUNTED).body == b"".join(events)


@pytest.mark.parametrize(
    "odd", ['"index":null', '"index":"0"', '"index":0.0', '"finish_reason":{}', '"usage":[]']
)
def test_an_event_with_counts_and_an_odd_choice_keeps_its_content(world: World, odd: str) -> None:
    usage = json.dumps(token_usage(5, 12))
    choice = f'{{"delta":{{"content":"x"}},{odd}}}'
    event = f'data: {{"id":"c","choices":[{choice}],"usage":{usage}}}\n\n'.encode()
    world.primary.script(Stream([event, b"data: [DONE]\n\n"]))
    world.start()
    assert world.ask(STREAMED).body == event + b"data: [DONE]\n\n"
    (entry,) = world.ledger.entries
    assert entry.usage is not None
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (5, 12)
