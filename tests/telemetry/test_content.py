"""Prompts and answers: nowhere by default, and where the convention's switch wants them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, chat_completion
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh

SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
DETAILS = "gen_ai.client.inference.operation.details"
INPUT = [{"role": "user", "parts": [{"type": "text", "content": "Good morning"}]}]
OUTPUT = [{"role": "assistant", "parts": [{"type": "text", "content": "You said: Good morning"}]}]


def on_span(recorder: Recorder, name: str = "input") -> Any:
    text = recorder.call.attributes.get(f"gen_ai.{name}.messages")
    return None if text is None else json.loads(text)


@pytest.mark.parametrize(
    ("switch", "span", "event"),
    [
        (None, False, False),
        ("NO_CONTENT", False, False),
        ("anything", False, False),
        ("SPAN_ONLY", True, False),
        ("event_only", False, True),
        ("SPAN_AND_EVENT", True, True),
    ],
)
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
async def test_content_is_where_it_is_wanted(
    recorder: Recorder,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    switch: str | None,
    span: bool,
    event: bool,
    body: Any,
) -> None:
    if switch is not None:
        monkeypatch.setenv(SWITCH, switch)
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client, body)).status_code == 200
    assert on_span(recorder) == (INPUT if span else None)
    assert on_span(recorder, "output") == (OUTPUT if span else None)
    events = recorder.events(DETAILS)
    assert len(events) == event
    if event:
        told = json.loads(json.dumps(dict(events[0].attributes), default=list))
        assert told["gen_ai.input.messages"] == INPUT
        assert told["gen_ai.output.messages"] == OUTPUT
        assert told["gen_ai.response.id"] == recorder.call.attributes["gen_ai.response.id"]
        assert events[0].span_id == recorder.call.context.span_id


async def test_each_piece_of_content_passes_the_owners_redaction(
    recorder: Recorder, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "SPAN_AND_EVENT")
    call = {
        "id": "call-1",
        "type": "function",
        "function": {"name": "find", "arguments": '{"q":"canary"}'},
    }
    message = {"role": "assistant", "content": "canary", "tool_calls": [call]}
    answer = {**chat_completion("x"), "choices": [{"index": 0, "message": message}]}
    upstream.script(Answer(200, [], answer))
    content = [
        {"type": "text", "text": "canary"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,canary"}},
    ]
    tools = [{"type": "function", "function": {"name": "find", "description": "canary"}}]
    body = {**CHAT, "messages": [{"role": "user", "content": content}], "tools": tools}
    mesh = make_mesh(recorder, upstream, redact=lambda text: text.replace("canary", "***"))
    async with calling(mesh) as client:
        response = await chat(client, body)
    assert "canary" in response.text
    (parts,) = (message["parts"] for message in on_span(recorder))
    assert parts == [{"type": "text", "content": "***"}, {"type": "image_url"}]
    (said,) = on_span(recorder, "output")
    assert said["parts"][1]["arguments"] == '{"q":"***"}'
    exported = recorder.call.to_json() + recorder.log_exporter.get_finished_logs()[0].to_json()
    assert "***" in exported
    assert "canary" not in exported


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"model": "m-1", "input": "Good morning"}),
        ("/v1/responses", {"model": "m-1", "input": [{"role": "user", "content": "Good morning"}]}),
        ("/v1/completions", {"model": "m-1", "prompt": "Good morning"}),
    ],
)
async def test_other_operations_have_content_too(
    recorder: Recorder,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: dict[str, Any],
) -> None:
    monkeypatch.setenv(SWITCH, "SPAN_ONLY")
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await client.post(path, json=body)).status_code == 200
    assert on_span(recorder) == INPUT
    assert on_span(recorder, "output") == OUTPUT


@pytest.mark.parametrize(
    ("path", "member", "said", "content"),
    [
        ("/v1/responses", "instructions", "Be kind", ["Be kind"]),
        (
            "/v1/messages",
            "system",
            [{"type": "text", "text": "Be kind"}, {"type": "text", "text": "Be brief"}],
            ["Be kind", "Be brief"],
        ),
    ],
)
async def test_instructions_are_content_of_their_own(
    recorder: Recorder,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    member: str,
    said: Any,
    content: list[str],
) -> None:
    monkeypatch.setenv(SWITCH, "SPAN_ONLY")
    mesh = make_mesh(recorder, upstream, redact=str.upper)
    async with calling(mesh) as client:
        await client.post(path, json={**CHAT, "input": "Good morning", member: said})
    parts = json.loads(recorder.call.attributes["gen_ai.system_instructions"])
    assert parts == [{"type": "text", "content": text.upper()} for text in content]


@pytest.mark.parametrize(
    ("content", "switch", "has_event", "has_content"),
    [
        (None, "TRUE", True, False),
        ("SPAN_ONLY", "true", True, False),
        ("EVENT_ONLY", "false", False, False),
        ("EVENT_ONLY", "perhaps", True, True),
        (None, "false", False, False),
    ],
)
async def test_the_event_has_a_switch_of_its_own(
    recorder: Recorder,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    switch: str,
    has_event: bool,
    has_content: bool,
) -> None:
    monkeypatch.setenv(EMIT_EVENT, switch)
    if content is not None:
        monkeypatch.setenv(SWITCH, content)
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client)
    events = recorder.events(DETAILS)
    assert len(events) == has_event
    for event in events:
        assert event.attributes["gen_ai.operation.name"] == "chat"
        assert ("gen_ai.input.messages" in event.attributes) == has_content


async def test_without_an_answer_there_is_still_the_prompt(
    recorder: Recorder, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "SPAN_ONLY")
    upstream.always(Cut())
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client)).status_code == 502
    assert on_span(recorder) == INPUT
    assert on_span(recorder, "output") is None


@pytest.mark.parametrize(
    "messages", [None, "x", [1, None], [{}], [{"content": 1, "tool_calls": [7, {"function": 3}]}]]
)
async def test_content_of_an_odd_form_harms_nothing(
    recorder: Recorder,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    messages: Any,
) -> None:
    monkeypatch.setenv(SWITCH, "SPAN_AND_EVENT")
    upstream.always(Answer(200, [], {"choices": [{"message": m} for m in messages or ()]}))
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client, {**CHAT, "messages": messages})).status_code == 200
    assert "gen_ai.usage.input_tokens" not in recorder.call.attributes
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
