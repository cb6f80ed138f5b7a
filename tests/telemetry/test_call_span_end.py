"""How the span of a call ends: when, with which outcome, and what counts as an error."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from llm_mesh_middleware import LLMMeshMiddleware
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    Stream,
    chat_stream,
    error_body,
)
from tests.conftest import Serve
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh, nothing


async def test_the_span_lasts_to_the_streams_last_byte(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    events = chat_stream(["a", "b"], include_usage=True)
    upstream.script(Stream([*events[:2], 0.04, *events[2:]]))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, STREAM)
    span = recorder.call
    lasted_s = (span.end_time - span.start_time) / 1e9
    assert lasted_s >= 0.04
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["gen_ai.response.time_to_first_chunk"] < lasted_s - 0.02
    assert span.attributes["llm_mesh.stream.outcome"] == "complete"
    assert span.attributes["llm_mesh.stream.chunk_count"] == 5
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert recorder.server.end_time - recorder.server.start_time >= 40_000_000


@pytest.mark.parametrize(
    ("answer", "error_type", "status"),
    [
        (Answer(400, [], error_body("no")), "400", 400),
        (Answer(429, [], error_body("slow")), "429", 429),
        (Answer(503, [], error_body("down")), "503", 503),
        (Cut(), "upstream_connect_error", 502),
        (Answer(302, [("location", "/")], b""), "upstream_protocol_error", 502),
        (Answer(200, [], b'{"a":'), "upstream_protocol_error", 502),
        (Cut(how="stall"), "upstream_timeout", 504),
    ],
)  # fmt: skip
async def test_what_went_wrong_upstream_is_an_error(
    recorder: Recorder, upstream: FakeUpstream, answer: object, error_type: str, status: int
) -> None:
    upstream.always(answer)
    settings = {"request_timeout": 0.1 if status == 504 else 10.0}
    rule = {"retry": {"attempts": 0}}
    async with calling(make_mesh(recorder, upstream, settings=settings, rule=rule)) as client:
        assert (await chat(client)).status_code == status
    assert recorder.call.status.status_code is StatusCode.ERROR
    assert not recorder.call.status.description
    assert recorder.call.attributes["error.type"] == error_type
    assert recorder.call.attributes["http.response.status_code"] == status
    is_server_error = recorder.server.status.status_code is StatusCode.ERROR
    assert is_server_error == (status >= 500)


async def test_a_request_that_goes_nowhere_has_no_span_of_a_call(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await client.post("/v1/unknown", json=CHAT)).status_code == 404
    assert recorder.calls == []
    assert recorder.server.attributes["http.response.status_code"] == 404
    assert recorder.server.status.status_code is StatusCode.UNSET
    assert recorder.points("gen_ai.client.operation.duration") == []
    (event,) = recorder.events("llm_mesh.request")
    assert event.attributes["error_type"] == "unsupported_operation"


async def test_a_stream_that_breaks_off_is_an_error_with_the_usage_seen(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    counted = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}],"usage":%s}\n\n'
    event = counted % str(usage).replace("'", '"').encode()
    upstream.always(Stream([event], end="reset"))
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client, STREAM)).status_code == 200
    found = recorder.call.attributes
    assert recorder.call.status.status_code is StatusCode.ERROR
    assert found["llm_mesh.stream.outcome"] == "upstream_aborted"
    assert found["gen_ai.response.finish_reasons"] == ("error",)
    assert found["gen_ai.usage.output_tokens"] == 2
    assert recorder.total("gen_ai.client.token.usage", gen_ai__token__type="output") == 2


async def test_a_choice_that_was_finished_keeps_its_reason_when_the_stream_breaks(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    event = b'data: {"choices":[{"index":%d,"delta":{},"finish_reason":%s}]}\n\n'
    upstream.always(Stream([event % (1, b'"length"') + event % (0, b"null")], end="reset"))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, {**STREAM, "n": 2})
    assert recorder.call.attributes["gen_ai.response.finish_reasons"] == ("error", "length")


async def test_a_stream_that_falls_silent_ends_with_a_timeout(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Stream([chat_stream()[0]], end="stall"))
    mesh = make_mesh(recorder, upstream, settings={"idle_timeout": 0.05})
    async with calling(mesh) as client:
        await chat(client, STREAM)
    assert recorder.call.attributes["llm_mesh.stream.outcome"] == "timeout"
    assert recorder.call.attributes["error.type"] == "upstream_timeout"


async def test_a_client_that_leaves_a_stream_is_no_error_and_its_usage_counts_once(
    recorder: Recorder, upstream: FakeUpstream, serve: Serve
) -> None:
    gate = Gate()
    event = b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'  # noqa: E501
    upstream.always(Stream([event, gate]))
    port = serve(LLMMeshMiddleware(nothing, mesh=make_mesh(recorder, upstream)))
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"host": "llm"}) as client,
        client.stream("POST", "/v1/chat/completions", json=STREAM) as response,
    ):
        assert b"usage" in await anext(response.aiter_raw())
    await recorder.until(lambda: recorder.calls)
    gate.open()
    await recorder.until(lambda: recorder.of_kind(SpanKind.SERVER))
    found = recorder.call.attributes
    assert recorder.call.status.status_code is StatusCode.UNSET
    assert found["error.type"] == "client_disconnect"
    assert found["llm_mesh.stream.outcome"] == "client_disconnect"
    assert found["gen_ai.usage.input_tokens"] == 3
    assert recorder.server.status.status_code is StatusCode.UNSET
    assert recorder.total("asm_llm_proxy_prompt_tokens") == 3
    assert recorder.total("llm_mesh.requests.active") == 0


async def test_a_client_that_leaves_before_the_answer_is_no_error(
    recorder: Recorder, upstream: FakeUpstream, serve: Serve
) -> None:
    gate = Gate()
    upstream.always(Stream([gate]))
    port = serve(LLMMeshMiddleware(nothing, mesh=make_mesh(recorder, upstream)))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        asking = asyncio.create_task(chat(client, STREAM, headers={"host": "llm"}))
        await recorder.until(lambda: upstream.requests)
        asking.cancel()
        await asyncio.wait([asking])
    await recorder.until(lambda: recorder.calls)
    gate.open()
    assert recorder.call.attributes["error.type"] == "client_disconnect"
    assert recorder.call.status.status_code is StatusCode.UNSET
    assert "http.response.status_code" not in recorder.call.attributes
