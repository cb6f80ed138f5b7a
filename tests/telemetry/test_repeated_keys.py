"""A provider that repeats its key, wherever it does: the client and every record are without it."""

from __future__ import annotations

import base64
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from logging.handlers import BufferingHandler
from typing import Any

import httpx
import pytest

from llm_mesh_middleware._telemetry.records.access_log import JSONFormatter, LineFormatter
from llm_mesh_middleware.testing import Answer, FakeUpstream, Stream, chat_completion, error_body
from tests.telemetry.recording import CHAT, KEY, STREAM, Recorder, calling, make_mesh

JSON = ("content-type", "application/json")
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY)
STEM = base64.b64encode(KEY.encode())[:20].decode()

Made = Callable[[str], Any]


def _completion(**members: Any) -> dict[str, Any]:
    return chat_completion("hello") | members


def _stream(*events: object, names: bool = False) -> Stream:
    """Events of chunks, then [DONE]; each is one member set of a chunk, or a whole event."""
    made = [each if isinstance(each, bytes) else _event(each) for each in events]
    return Stream([*made, b"data: [DONE]\n\n"])


def _event(data: object, name: str = "") -> bytes:
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(data)}\n\n".encode()


def _chunk(content: str = "a", finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
    return chunk | {"choices": [choice]} | members


LAST = _chunk("", "stop")

# Where the key is, and what the provider then sends.
WHOLE: dict[str, Made] = {
    "x-request-id": lambda key: Answer(200, [("x-request-id", key)], _completion()),
    "another passing header": lambda key: Answer(200, [("openai-model", key)], _completion()),
    "content-type": lambda key: Answer(
        200, [("content-type", f"application/json; a={key}")], _completion()
    ),
    "a header's name": lambda key: Answer(200, [(f"x-ratelimit-{KEY}", "1")], _completion()),
    "base64 in a header": lambda key: Answer(
        200, [("request-id", base64.b64encode(f"Bearer {KEY}".encode()).decode())], _completion()
    ),
    "id": lambda key: Answer(200, [JSON], _completion(id=key)),
    "model": lambda key: Answer(200, [JSON], _completion(model=f"m-{key}")),
    "system_fingerprint": lambda key: Answer(200, [JSON], _completion(system_fingerprint=key)),
    "service_tier": lambda key: Answer(200, [JSON], _completion(service_tier=key)),
    "a finish reason": lambda key: Answer(
        200, [JSON], _completion(choices=[{"index": 0, "message": {}, "finish_reason": key}])
    ),
    "content": lambda key: Answer(200, [JSON], chat_completion(f"my key is {key}")),
    "a 200 with an error object": lambda key: Answer(200, [JSON], error_body(f"bad {key}")),
    "an error's message": lambda key: Answer(401, [JSON], error_body(f"bad {key}")),
    "an error's code": lambda key: Answer(400, [JSON], error_body("bad", code=key)),
    "an error's type": lambda key: Answer(400, [JSON], error_body("bad", type=key)),
    "an error's param": lambda key: Answer(400, [JSON], error_body("bad", param=key)),
    "a doubled error": lambda key: Answer(
        400, [JSON], {"error": {"error": {"message": key}}, "message": key}
    ),
    "DashScope's form": lambda key: Answer(
        400, [JSON], {"code": "InvalidApiKey", "message": f"bad {key}", "request_id": key}
    ),
    "a list of errors": lambda key: Answer(400, [JSON], [{"error": {"message": key}}]),
    "an error as text": lambda key: Answer(500, [("content-type", "text/plain")], f"bad {key}"),
    "an error page": lambda key: Answer(500, [("content-type", "text/html")], f"<p>{key}"),
    "an error as events": lambda key: Answer(
        400, [("content-type", "text/event-stream")], f'event:error\ndata:{{"message":"{key}"}}\n\n'
    ),
    "a header of an error": lambda key: Answer(
        503, [("x-request-id", key), ("retry-after", key)], error_body("busy")
    ),
    "a redirect": lambda key: Answer(302, [("location", f"https://x.example/?key={key}")], b""),
    "what is not JSON": lambda key: Answer(200, [JSON], f'{{"id": "{key}'),
}
STREAMED: dict[str, Made] = {
    "a header of a stream": lambda key: Stream(
        [_event(LAST), b"data: [DONE]\n\n"], headers=[("x-request-id", key)]
    ),
    "id": lambda key: _stream(_chunk(id=key), LAST | {"id": key}),
    "model": lambda key: _stream(_chunk(model=key), LAST | {"model": key}),
    "system_fingerprint": lambda key: _stream(_chunk(), LAST | {"system_fingerprint": key}),
    "a finish reason": lambda key: _stream(_chunk(), _chunk("", key)),
    "content": lambda key: _stream(_chunk(f"it is {key}"), LAST),
    "a comment": lambda key: _stream(f": {key}\n\n".encode(), _chunk(), LAST),
    "an event's name": lambda key: _stream(_event(_chunk(), key), LAST),
    "an event's id": lambda key: _stream(f"id: {key}\n".encode() + _event(_chunk()), LAST),
    "an error as the first event": lambda key: _stream(error_body(f"bad {key}")),
    "an error later": lambda key: _stream(_chunk(), error_body(f"bad {key}", code=key)),
    "a named error event": lambda key: _stream(
        _chunk(), _event({"code": "Throttling", "message": key, "request_id": key}, "error")
    ),
    "an event that is not JSON": lambda key: _stream(_chunk(), f"data: {{{key}\n\n".encode()),
    "an error without a stream": lambda key: Answer(401, [JSON], error_body(f"bad {key}")),
}
PLACES = [
    *(pytest.param(CHAT, make, id=f"whole, {where}") for where, make in WHOLE.items()),
    *(pytest.param(STREAM, make, id=f"stream, {where}") for where, make in STREAMED.items()),
]


@pytest.fixture
def lines() -> Iterator[BufferingHandler]:
    """Everything that the mesh logs; httpcore's own DEBUG lines show response headers."""
    handler = BufferingHandler(100_000)
    loggers = [logging.getLogger(name) for name in ("llm_mesh_middleware", "llm_mesh.access")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield handler
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def _shown(response: httpx.Response) -> str:
    fields = b"\n".join(itertools.chain.from_iterable(response.headers.raw))
    return (fields + b"\n" + response.content).decode("utf-8", "replace")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
@pytest.mark.parametrize(("body", "make"), PLACES)
async def test_a_repeated_key_is_nowhere(
    recorder: Recorder,
    upstream: FakeUpstream,
    lines: BufferingHandler,
    body: dict[str, Any],
    make: Made,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_and_event")
    settings = {"attempt_spans": "always", "upstream_client": engine, "chunk_metrics": True}
    upstream.always(make(KEY))
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        response = await client.post("/v1/chat/completions", json=body)
    shown = {
        "the reply": _shown(response),
        "a span": "".join(span.to_json() for span in recorder.spans),
        "a metric": recorder.reader.get_metrics_data().to_json(),
        "an event": "".join(data.to_json() for data in recorder.log_exporter.get_finished_logs()),
        "a line of JSON": "".join(map(JSONFormatter().format, lines.buffer)),
        "a line": "".join(map(LineFormatter().format, lines.buffer)),
    }
    pieces = [KEY[at : at + 8] for at in range(10, len(KEY) - 7)]
    for place, text in shown.items():
        for piece in (*pieces, KEY.lower(), STEM, STEM[4:]):
            assert piece not in text, place


@pytest.mark.parametrize("status", [200, 400])
async def test_a_key_in_json_escapes_reaches_no_client(
    recorder: Recorder, upstream: FakeUpstream, status: int
) -> None:
    text = json.dumps(_completion(id="ID") if status == 200 else error_body("ID"))
    upstream.always(Answer(status, [JSON], text.replace("ID", ESCAPED)))
    async with calling(make_mesh(recorder, upstream)) as client:
        response = await client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == status
    assert KEY not in json.dumps(response.json())
    assert KEY not in "".join(span.to_json() for span in recorder.spans)


async def test_an_answer_without_the_key_keeps_every_byte(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    text = '{"id":"\\u0061", "choices" : [],"note":"100 % \\u003cp\\u003e sk-canary-"}'
    upstream.always(Answer(200, [JSON], text))
    async with calling(make_mesh(recorder, upstream)) as client:
        response = await client.post("/v1/chat/completions", json=CHAT)
    assert response.content == text.encode()
