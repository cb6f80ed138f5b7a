"""What calls have cost: on spans, in metrics, in the access log and in the reply."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from llm_mesh_middleware._core.pricing.charge import format_amount
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import Answer, FakeUpstream, Gate, Stream, error_body
from llm_mesh_middleware.testing._bodies import sse
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh

PRICES = {"prices": [{"model": {"exact": "m-1"}, "perMillion": {"input": "3", "output": "15"}}]}
DOWN = Answer(503, [], error_body("down"))
PAID = Answer(
    200,
    [("content-type", "application/json")],
    json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "model": "m-1",
            "choices": [],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        }
    ).encode(),
)
COST = 100 * 3_000 + 20 * 15_000


def mesh_of(recorder: Recorder, *upstreams: FakeUpstream, **settings: Any) -> Any:
    spec = settings.pop("spec", PRICES)
    return make_mesh(recorder, *upstreams, spec=spec, settings=settings)


async def test_a_call_shows_its_cost_everywhere(
    recorder: Recorder, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.always(PAID)
    caplog.set_level(logging.INFO, logger="llm_mesh.access")
    async with calling(mesh_of(recorder, upstream, cost_header=True)) as client:
        reply = await chat(client)
    assert reply.headers["x-llm-mesh-cost"] == "0.0006 USD"
    attributes = recorder.call.attributes
    assert attributes["llm_mesh.cost.amount"] == pytest.approx(0.0006)
    assert attributes["llm_mesh.cost.currency"] == "USD"
    (point,) = recorder.points("llm_mesh.cost")
    assert point.value == pytest.approx(COST / 1e9)
    assert dict(point.attributes) == {
        "llm_mesh.provider.name": "a",
        "gen_ai.request.model": "_other",  # no manifest names it
        "llm_mesh.cost.currency": "USD",
    }
    (record,) = [r for r in caplog.records if r.name == "llm_mesh.access"]
    assert (record.llm_mesh["cost"], record.llm_mesh["currency"]) == ("0.0006", "USD")


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_streams_and_whole_replies_are_counted_alike(
    recorder: Recorder, upstream: FakeUpstream, body: dict[str, Any]
) -> None:
    async with calling(mesh_of(recorder, upstream)) as client:
        reply = await chat(client, body)
    assert "x-llm-mesh-cost" not in reply.headers
    usage = recorder.call.attributes
    cost = usage["gen_ai.usage.input_tokens"] * 3e-6 + usage["gen_ai.usage.output_tokens"] * 15e-6
    assert cost > 0
    assert recorder.total("llm_mesh.cost") == pytest.approx(cost)


async def test_a_model_without_a_price_has_no_cost_rather_than_none(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(PAID)
    prices = {"prices": [{"model": {"exact": "other"}, "perMillion": {"input": "3"}}]}
    async with calling(mesh_of(recorder, upstream, spec=prices, cost_header=True)) as client:
        reply = await chat(client)
    assert "x-llm-mesh-cost" not in reply.headers
    assert "llm_mesh.cost.amount" not in recorder.call.attributes
    assert recorder.points("llm_mesh.cost") == []
    assert recorder.total("llm_mesh.cost.unpriced") == 1


async def test_a_failed_attempt_that_was_billed_counts(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    billed = json.dumps(
        {
            "error": {"message": "overloaded", "code": 503},
            "usage": {"prompt_tokens": 50, "completion_tokens": 0},
        }
    )
    first = f'data: {{"usage": {json.dumps({"prompt_tokens": 50, "completion_tokens": 0})},'
    first += ' "choices": []}\n\n' + f"data: {billed}\n\n"
    upstream.always(Answer(200, [("content-type", "text/event-stream")], first.encode()))
    async with calling(mesh_of(recorder, upstream, second)) as client:
        reply = await chat(client, STREAM)
    assert reply.status_code == 200
    assert recorder.total("llm_mesh.cost", llm_mesh__provider__name="a") == 50 * 3e-6


async def test_attempts_that_were_not_billed_cost_nothing(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    second.always(PAID)
    async with calling(mesh_of(recorder, upstream, second, cost_header=True)) as client:
        reply = await chat(client)
    assert reply.headers["x-llm-mesh-cost"] == "0.0006 USD"
    (point,) = recorder.points("llm_mesh.cost")
    assert point.attributes["llm_mesh.provider.name"] == "b"


async def test_costs_are_counted_by_the_attributes_that_the_setting_names(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(PAID)
    mesh = mesh_of(recorder, upstream, cost_attributes=("team", "feature"))
    async with calling(mesh) as client:
        with mesh.attributes(team="search", other="x"):
            await chat(client)
            await chat(client)
    (point,) = recorder.points("llm_mesh.cost")
    assert point.value == pytest.approx(2 * COST / 1e9)
    assert point.attributes["llm_mesh.attribute.team"] == "search"
    assert "llm_mesh.attribute.other" not in point.attributes


def told(given: int, made: int) -> bytes:
    """An event that counts as it goes, as some providers send with each chunk."""
    usage = {"prompt_tokens": given, "completion_tokens": made}
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": None}
    return sse({"id": "c", "model": "m-1", "choices": [choice], "usage": usage})


async def test_a_stream_that_its_client_leaves_costs_what_was_counted(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    gate = Gate()
    upstream.always(Stream([told(100, 1), told(100, 7), gate]))
    mesh = mesh_of(recorder, upstream)
    host = mesh.find(b"llm")
    request = ClientRequest("POST", "/v1/chat/completions", Headers(), json.dumps(STREAM).encode())
    delivery = await mesh.asend(host, request)
    seen = b""
    async for piece in delivery:
        seen += piece
        if seen.count(b"data:") == 2:
            break
    await delivery.aclose()
    await mesh.aclose()
    gate.open()
    assert recorder.total("llm_mesh.cost") == pytest.approx((100 * 3_000 + 7 * 15_000) / 1e9)


async def test_a_stream_that_breaks_off_costs_what_was_counted(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Stream([told(100, 1), told(100, 7)], end="reset"))
    async with calling(mesh_of(recorder, upstream)) as client:
        assert b"error" in (await chat(client, STREAM)).content
    assert recorder.total("llm_mesh.cost") == pytest.approx((100 * 3_000 + 7 * 15_000) / 1e9)


async def test_several_attempts_add_up(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    """A response that cannot be used was paid for all the same."""
    counted = {"prompt_tokens": 50, "completion_tokens": 2}
    broken = {"error": {"message": "overloaded", "code": 503}, "usage": counted}
    upstream.always(Answer(200, [("content-type", "application/json")], json.dumps(broken)))
    second.always(PAID)
    async with calling(mesh_of(recorder, upstream, second, cost_header=True)) as client:
        reply = await chat(client)
    first = 50 * 3_000 + 2 * 15_000
    assert reply.headers["x-llm-mesh-cost"] == format_amount(first + COST) + " USD"
    assert recorder.call.attributes["llm_mesh.cost.amount"] == pytest.approx((first + COST) / 1e9)
