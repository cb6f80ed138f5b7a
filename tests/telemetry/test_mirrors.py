"""Copies of requests in telemetry: a span of their own, their cost, the comparison."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion, token_usage
from tests.telemetry.recording import Recorder, calling, chat, make_mesh

PRICES = {"prices": [{"model": {"prefix": ""}, "perMillion": {"input": "3", "output": "15"}}]}
PAID = Answer(body=chat_completion("hello", usage=token_usage(100, 20)))
MIRROR = {"providerHost": "b.example", "model": "shadow", "compareContent": True}


@pytest.fixture
async def mirrored(
    recorder: Recorder,
    upstream: FakeUpstream,
    second: FakeUpstream,
    caplog: pytest.LogCaptureFixture,
) -> Any:
    """The record of one copied call; everything else is in the recorder."""
    upstream.always(PAID)
    second.always(PAID)
    caplog.set_level(logging.INFO, logger="llm_mesh.mirror")
    mesh = make_mesh(recorder, upstream, second, spec=PRICES, rule={"mirrors": [MIRROR]})
    async with calling(mesh) as client:
        await chat(client)
        async with asyncio.timeout(5):
            while not (found := [r for r in caplog.records if r.name == "llm_mesh.mirror"]):
                await asyncio.sleep(0.002)
    return found[0].llm_mesh


async def test_a_copy_has_a_span_in_a_trace_of_its_own(recorder: Recorder, mirrored: Any) -> None:
    copy, call = sorted(recorder.calls, key=lambda span: "llm_mesh.mirror" not in span.attributes)
    assert copy.attributes["llm_mesh.mirror"] is True
    assert copy.attributes["gen_ai.request.model"] == "shadow"
    assert copy.attributes["gen_ai.usage.output_tokens"] == 20
    assert copy.attributes["llm_mesh.cost.amount"] == pytest.approx(0.0006)
    assert copy.parent is None
    assert [link.context.span_id for link in copy.links] == [call.context.span_id]
    assert copy.context.trace_id != call.context.trace_id
    assert "llm_mesh.mirror" not in call.attributes


async def test_a_copy_is_not_counted_among_the_requests(recorder: Recorder, mirrored: Any) -> None:
    assert recorder.total("llm_mesh.requests") == 1
    assert recorder.total("llm_mesh.attempts") == 1
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == 100
    (point,) = recorder.points("llm_mesh.mirror.requests")
    assert dict(point.attributes) == {
        "llm_mesh.provider.name": "b",
        "llm_mesh.mirror.result": "success",
    }


async def test_a_copy_settles_its_own_cost(recorder: Recorder, mirrored: Any) -> None:
    costs = {p.attributes["llm_mesh.provider.name"]: p for p in recorder.points("llm_mesh.cost")}
    assert costs["a"].value == costs["b"].value == pytest.approx(0.0006)
    assert costs["b"].attributes["llm_mesh.mirror"] == "true"
    assert "llm_mesh.mirror" not in costs["a"].attributes


async def test_the_record_compares_both_calls(recorder: Recorder, mirrored: Any) -> None:
    assert (mirrored["primary_provider"], mirrored["mirror_provider"]) == ("a", "b")
    assert (mirrored["primary_status"], mirrored["mirror_status"]) == (200, 200)
    assert mirrored["mirror_size_bytes"] > 100
    assert mirrored["mirror_duration_ms"] > 0
    assert mirrored["mirror_finish_reasons"] == ["stop"]
    assert mirrored["primary_cost"] == mirrored["mirror_cost"] == "0.0006 USD"
    assert mirrored["same_finish_reasons"] is True
    assert mirrored["same_content"] is True
    (event,) = [
        data.log_record
        for data in recorder.log_exporter.get_finished_logs()
        if data.log_record.event_name == "llm_mesh.mirror"
    ]
    assert event.attributes["same_content"] is True
