"""The access record: its fields, its two forms in a log, and its event."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from opentelemetry import trace

from llm_mesh_middleware import LLMMeshMiddleware
from llm_mesh_middleware._telemetry.records.access_log import JSONFormatter, LineFormatter
from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, chat_completion, error_body
from tests.canaries import canary, leaks
from tests.telemetry.recording import CHAT, KEY, STREAM, Recorder, calling, chat, make_mesh, nothing

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
FORGED = 'x"\r\n\x1b[2J\u2028{"status": 200}\0'


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return record.llm_mesh  # type: ignore[attr-defined,no-any-return]


async def test_a_call_is_one_record_with_asms_names_and_the_meshs(
    recorder: Recorder, upstream: FakeUpstream, records: list[logging.LogRecord]
) -> None:
    body = chat_completion("Hi", model="m-1-2026", usage=USAGE)
    upstream.script(Answer(200, [("x-request-id", "req-9")], body))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, headers={"authorization": f"Bearer {canary('of a client')}"})
    (record,) = records
    assert record.levelno == logging.INFO
    found = dict(fields(record))
    assert 0 < found.pop("overhead_ms") <= found.pop("duration_ms") < 5000
    context = recorder.call.context
    assert found == {
        "request_model": "m-1",
        "request_prompt_tokens": 20,
        "request_completion_tokens": 9,
        "request_cached_tokens": 8,
        "request_cache_write_tokens": 0,
        "request_reasoning_tokens": 4,
        "cost": None,
        "currency": None,
        "authority": "llm",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "ttfc_ms": None,
        "route": "main",
        "rule": "all",
        "provider": "a",
        "upstream_host": "a.example",
        "response_model": "m-1-2026",
        "finish_reasons": ["stop"],
        "stream": False,
        "attempts": 1,
        "outcome": None,
        "error_type": None,
        "policies": None,
        "consumer": None,
        "request_id": "req-9",
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


async def test_the_event_has_the_records_fields_and_the_calls_context(
    recorder: Recorder, upstream: FakeUpstream, records: list[logging.LogRecord]
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, STREAM)
    (event,) = recorder.events("llm_mesh.request")
    written = {k: v for k, v in fields(records[0]).items() if v is not None}
    assert {**event.attributes, "finish_reasons": ["stop"]} == written
    assert event.attributes["ttfc_ms"] > 0
    assert event.attributes["outcome"] == "complete"
    assert event.span_id == recorder.call.context.span_id
    assert event.trace_id == recorder.call.context.trace_id
    assert event.severity_text is None
    assert event.severity_number.name == "INFO"


async def test_every_call_has_a_record_however_it_ends(
    recorder: Recorder,
    upstream: FakeUpstream,
    second: FakeUpstream,
    records: list[logging.LogRecord],
) -> None:
    async with calling(make_mesh(recorder, upstream, second)) as client:
        await chat(client)
        upstream.script(Cut())
        await chat(client)
        upstream.script(Answer(400, [], error_body("no")))
        await chat(client)
        await client.post("/v1/unknown", json=CHAT)
        await client.post("/v1/chat/completions", content=b"{")
    found = [fields(record) for record in records]
    assert [(f["status"], f["error_type"], f["attempts"] > 0) for f in found] == [
        (200, None, True),
        (200, None, True),
        (400, "400", True),
        (404, "unsupported_operation", False),
        (400, "invalid_json", False),
    ]
    assert len(recorder.events("llm_mesh.request")) == 5


async def test_a_failure_is_an_event_in_the_meshs_own_words(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Cut())
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client)).status_code == 502
    (event,) = recorder.events("gen_ai.client.operation.exception")
    assert event.severity_number.name == "WARN"
    assert event.attributes["exception.type"] == "UpstreamConnectError"
    assert "a.example" in event.attributes["exception.message"]
    assert event.span_id == recorder.call.context.span_id


async def test_the_callers_name_is_told_and_its_key_is_not(
    recorder: Recorder, upstream: FakeUpstream, records: list[logging.LogRecord]
) -> None:
    settings = {"client_keys": {"team-a": canary("team-a")}, "access": "keys"}
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        await chat(client, headers={"authorization": f"Bearer {canary('team-a')}"})
    assert fields(records[0])["consumer"] == "team-a"
    assert recorder.call.attributes["llm_mesh.consumer"] == "team-a"
    assert not leaks(str(fields(records[0])))


async def asked(app: Any, path: str, method: str, body: bytes) -> None:
    """One request as a server may hand it over: escapes of the path are decoded."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(b"host", b"llm")],
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
    }
    messages = iter([{"type": "http.request", "body": body}])

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


@pytest.mark.parametrize("formatter", [JSONFormatter(), LineFormatter()])
async def test_nothing_that_a_client_sends_can_break_or_forge_a_line(
    recorder: Recorder,
    upstream: FakeUpstream,
    records: list[logging.LogRecord],
    formatter: logging.Formatter,
) -> None:
    answer = chat_completion("Hi", model=FORGED, finish_reason=FORGED)
    upstream.always(Answer(200, [], answer))
    mesh = make_mesh(recorder, upstream)
    app = LLMMeshMiddleware(nothing, mesh=mesh)
    body = json.dumps({**CHAT, "model": FORGED * 999}).encode()
    await asked(app, "/v1/" + FORGED + " status=200", FORGED, body)
    async with calling(mesh) as client:
        await client.post("/chat/completions", content=body)
    assert len(records) == 2
    for record in records:
        line = formatter.format(record)
        assert line.isprintable()
        assert len(line) < 20_000
        if isinstance(formatter, JSONFormatter):
            read = json.loads(line)
            assert {"timestamp", "level", "logger"} <= set(read)
            assert {k: read[k] for k in fields(record)} == fields(record)
        else:
            assert line.count(" status=") <= 2  # its own, and one inside quotes
            assert ' path="/v1/x' in line or " path=/chat/completions " in line


async def test_other_records_are_json_lines_too() -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "two\nlines %s", "args": ("é",)})
    try:
        raise ValueError("a\nb")
    except ValueError as exc:
        record.exc_info = (type(exc), exc, exc.__traceback__)
    line = JSONFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "two\nlines é"
    assert "ValueError" in json.loads(line)["exception"]


async def test_a_record_has_no_content_and_no_header(
    recorder: Recorder, upstream: FakeUpstream, records: list[logging.LogRecord]
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, headers={"x-canary": "header-canary", "cookie": "cookie-canary"})
    (record,) = records
    line = JSONFormatter().format(record) + LineFormatter().format(record) + str(vars(record))
    for piece in ("Good morning", "You said", "header-canary", "cookie-canary", KEY):
        assert piece not in line


async def test_where_nobody_listens_no_record_is_made(
    upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "llm_mesh.access")
    mesh = make_mesh(None, upstream)
    assert not mesh._parts.telemetry._sinks.events.is_exported
    async with calling(mesh) as client:
        await chat(client)
    assert [r for r in caplog.records if r.name == "llm_mesh.access"] == []
