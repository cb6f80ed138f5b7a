"""The same call recorded by OpenTelemetry's own helpers for generative AI, and by the mesh.

Where the two differ, the table says why.
"""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion
from tests.telemetry.recording import CHAT, Recorder, calling, chat, make_mesh

handler = pytest.importorskip("opentelemetry.util.genai.handler")

ASKED = {
    **CHAT,
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 64,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "seed": 7,
    "stop": ["END"],
}
ANSWER = chat_completion(
    "Hi",
    model="m-1-2026",
    id="chatcmpl-7",
    usage={
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
)

# What only the mesh has on its span, and why; a dot at the end stands for a family.
SPAN_EXTRAS = {
    "llm_mesh.": "there is no convention for what a gateway adds",
    "openai.api.type": "of the extension for OpenAI's API, not the helpers' business",
    "http.response.status_code": "the call is an HTTP call too, and need not have a span below",
}
# Metrics of the mesh that the helpers have not, and why.
METRIC_EXTRAS = {
    "llm_mesh.": "there is no convention for what a gateway adds",
    "asm_llm_proxy_": "the names of Alibaba Cloud Service Mesh",
    "http.server.": "of the HTTP server, which the mesh is as well",
    "gen_ai.client.inference.usage.": "of the next generation, and additive to this one",
}
POINT_EXTRAS = {"llm_mesh.route.name": "no convention; routes are few"}


def recorded_by_the_helpers(recorder: Recorder, port: int) -> None:
    telemetry = handler.TelemetryHandler(
        tracer_provider=recorder.tracers,
        meter_provider=recorder.meters,
        logger_provider=recorder.loggers,
    )
    with telemetry.inference(
        "a", request_model="m-1", server_address="a.example", server_port=port
    ) as call:
        call.temperature, call.top_p, call.max_tokens = 0.5, 0.9, 64
        call.frequency_penalty, call.presence_penalty = 0.1, 0.2
        call.seed, call.stop_sequences = 7, ["END"]
        call.response_id, call.response_model_name = "chatcmpl-7", "m-1-2026"
        call.finish_reasons = ["stop"]
        call.input_tokens, call.output_tokens = 20, 9
        call.cache_read_input_tokens, call.thinking_tokens = 8, 4


def is_extra(name: str, table: dict[str, str]) -> bool:
    return any(name == key or (key[-1] in "._" and name.startswith(key)) for key in table)


@pytest.fixture
async def both(recorder: Recorder, upstream: FakeUpstream) -> tuple[Recorder, Recorder]:
    """What the mesh has recorded, and what the helpers have."""
    theirs = Recorder()
    recorded_by_the_helpers(theirs, upstream.port)
    upstream.script(Answer(200, [], ANSWER))
    async with calling(make_mesh(recorder, upstream, config={"model": "m-1"})) as client:
        assert (await chat(client, ASKED)).status_code == 200
    return recorder, theirs


async def test_spans_agree(both: tuple[Recorder, Recorder]) -> None:
    ours, theirs = (recorder.call for recorder in both)
    assert (ours.name, ours.kind) == (theirs.name, theirs.kind)
    assert ours.status.status_code is theirs.status.status_code
    extras = {name for name in ours.attributes if is_extra(name, SPAN_EXTRAS)}
    common = {name: value for name, value in ours.attributes.items() if name not in extras}
    assert common == dict(theirs.attributes)
    assert not extras & set(theirs.attributes)


async def test_metrics_agree(both: tuple[Recorder, Recorder]) -> None:
    ours, theirs = (recorder.metrics() for recorder in both)
    assert {name for name in ours if not is_extra(name, METRIC_EXTRAS)} == set(theirs)
    for name, metric in theirs.items():
        assert ours[name].unit == metric.unit
        assert points(ours[name]) == points(metric), name
        bounds = {tuple(p.explicit_bounds) for p in metric.data.data_points}
        assert {tuple(p.explicit_bounds) for p in ours[name].data.data_points} == bounds


def points(metric: Any) -> set[tuple[tuple[str, Any], ...]]:
    return {
        tuple(sorted((k, v) for k, v in p.attributes.items() if not is_extra(k, POINT_EXTRAS)))
        for p in metric.data.data_points
    }


async def test_every_entry_of_the_tables_is_in_use(both: tuple[Recorder, Recorder]) -> None:
    ours, _ = both
    names = [*ours.call.attributes, *ours.metrics()]
    for table in (SPAN_EXTRAS, METRIC_EXTRAS):
        for key in table:
            assert any(is_extra(name, {key: ""}) for name in names), key
