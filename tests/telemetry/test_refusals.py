"""A request that is refused before it is an exchange has a span, a metric and a record."""

from __future__ import annotations

import json
import logging

import httpx
import pytest
from opentelemetry.trace import StatusCode

from llm_mesh_middleware import LLMMeshMiddleware
from llm_mesh_middleware.testing import FakeUpstream
from tests.telemetry.recording import CHAT, Recorder, calling, make_mesh, nothing

PEER = {"x-forwarded-for": "203.0.113.9"}
REFUSALS = [
    ({"headers": PEER, "json": CHAT}, {}, 403, "access_denied"),
    ({"json": CHAT}, {"access": "keys"}, 401, "invalid_client_key"),
    ({"json": CHAT}, {"max_request_bytes": 10}, 413, "request_too_large"),
    (
        {"json": CHAT, "headers": {"content-encoding": "br"}},
        {},
        415,
        "unsupported_content_encoding",
    ),
    ({"json": CHAT, "headers": [("host", "llm"), ("host", "llm")]}, {}, 400, "invalid_request"),
]


@pytest.mark.parametrize(("asked", "settings", "status", "code"), REFUSALS)
async def test_a_refusal_is_told_by_every_signal(
    recorder: Recorder,
    upstream: FakeUpstream,
    caplog: pytest.LogCaptureFixture,
    asked: dict[str, object],
    settings: dict[str, object],
    status: int,
    code: str,
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh.access")
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        answer = await client.post("/v1/chat/completions?key=no", **asked)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert recorder.calls == []
    assert recorder.server.attributes["http.response.status_code"] == status
    assert recorder.server.attributes["llm_mesh.error.code"] == code
    assert recorder.server.status.status_code is StatusCode.UNSET
    (timed,) = recorder.points("http.server.request.duration")
    assert timed.attributes["http.response.status_code"] == status
    assert recorder.total("llm_mesh.requests.active") == 0
    assert recorder.total("http.server.active_requests") == 0
    record = caplog.records[-1].llm_mesh  # type: ignore[attr-defined]
    told = {name: record[name] for name in ("authority", "status", "error_type", "attempts")}
    assert told == {"authority": "llm", "status": status, "error_type": code, "attempts": 0}
    assert len(recorder.events("llm_mesh.request")) == 1
    assert "203.0.113.9" not in json.dumps(record)


async def test_a_body_that_grows_too_long_is_told_once(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async def body():  # type: ignore[no-untyped-def]
        for _ in range(4):
            yield b" " * 8

    mesh = make_mesh(recorder, upstream, settings={"max_request_bytes": 20})
    async with calling(mesh) as client:
        answer: httpx.Response = await client.post("/v1/chat/completions", content=body())
    assert answer.status_code == 413
    assert recorder.server.attributes["llm_mesh.error.code"] == "request_too_large"
    assert len(recorder.spans) == 1


async def test_versions_that_clients_make_up_are_one_attribute_set(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    mesh = make_mesh(recorder, upstream)
    app = LLMMeshMiddleware(nothing, mesh=mesh)

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        pass

    for number in range(50):
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "query_string": b"",
        }
        scope |= {"headers": [(b"host", b"llm"), (b"via", b"x")], "http_version": f"1.{number}"}
        await app(scope, receive, send)
    versions = {
        point.attributes["network.protocol.version"]
        for point in recorder.points("http.server.request.duration")
    }
    assert versions == {"1.0", "1.1", "_OTHER"}
    await mesh.aclose()
