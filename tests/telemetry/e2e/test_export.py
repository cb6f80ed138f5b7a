"""Traces, metrics and logs of a real sidecar, through a real collector, value by value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.telemetry.e2e.calls import (
    BACKUP,
    HOST,
    PARENT_ID,
    PRIMARY,
    TRACE_ID,
    Providers,
    make_calls,
)
from tests.telemetry.e2e.conftest import Collector, Start
from tests.telemetry.e2e.sink import ReceivedSpan, Sink

pytestmark = pytest.mark.slow

SERVER, CLIENT = 2, 3
OK, ERROR = 0, 2

# Attributes that are durations: positive, and below what the whole test may take.
SECONDS = {"llm_mesh.overhead.duration", "gen_ai.response.time_to_first_chunk"}
MILLISECONDS = {"duration_ms", "overhead_ms", "ttfc_ms"}
ANY = object()

CHAT = {
    "gen_ai.operation.name": "chat",
    "openai.api.type": "chat_completions",
    "llm_mesh.virtual_host": HOST,
    "llm_mesh.route.name": "chat",
    "llm_mesh.rule.name": "all",
    "llm_mesh.request.model": "any",
    "llm_mesh.overhead.duration": ANY,
}
FROM_PRIMARY = {
    "gen_ai.provider.name": "primary",
    "gen_ai.request.model": "large-1",
    "llm_mesh.provider.name": "primary",
    "server.address": PRIMARY,
}
USAGE = {
    "llm_mesh.usage.source": "provider",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 9,
    "gen_ai.usage.cache_read.input_tokens": 8,
    "gen_ai.usage.reasoning.output_tokens": 3,
    "gen_ai.response.model": "large-1-0605",
    "gen_ai.response.finish_reasons": ["stop"],
}
# By what makes each call's span its own.
CALLS: dict[str, dict[str, Any]] = {
    "chat-1": {
        **(CHAT | FROM_PRIMARY | USAGE),
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.response.id": "chat-1",
        "openai.response.system_fingerprint": "fp_1",
        "openai.response.service_tier": "default",
        "llm_mesh.upstream.request_id": "req-1",
        "llm_mesh.attempt.count": 1,
        "http.response.status_code": 200,
    },
    "chat-2": {
        **(CHAT | FROM_PRIMARY | USAGE),
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "chat-2",
        "gen_ai.response.time_to_first_chunk": ANY,
        "llm_mesh.stream.chunk_count": 5,
        "llm_mesh.stream.outcome": "complete",
        "llm_mesh.usage.injected": True,
        "llm_mesh.attempt.count": 1,
        "http.response.status_code": 200,
    },
    "chat-3": {
        **CHAT,
        "gen_ai.provider.name": "backup",
        "gen_ai.request.model": "small-1",
        "llm_mesh.provider.name": "backup",
        "server.address": BACKUP,
        "llm_mesh.fallback": True,
        "llm_mesh.attempt.count": 2,
        "llm_mesh.usage.source": "provider",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.id": "chat-3",
        "gen_ai.response.model": "small-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "http.response.status_code": 200,
    },
    "400": {
        **(CHAT | FROM_PRIMARY),
        "llm_mesh.usage.source": "none",
        "llm_mesh.attempt.count": 1,
        "http.response.status_code": 400,
        "error.type": "400",
    },
}
SPANS = 4 + 4 + 2  # a server span and a call each, the attempts of the fallback

RECORD = {"authority": HOST, "method": "POST", "route": "chat", "rule": "all", "stream": False}
RECORDS: list[dict[str, Any]] = [
    {"path": "/v1/chat/completions", "request_prompt_tokens": 12, "request_completion_tokens": 9},
    {"path": "/", "stream": True, "request_cached_tokens": 8, "request_reasoning_tokens": 3},
    {"path": "/", "upstream_host": BACKUP, "request_model": "small-1", "attempts": 2},
    {"path": "/", "upstream_host": PRIMARY, "status": 400, "error_type": "400"},
]


def is_complete(sink: Sink) -> bool:
    usage = sink.metrics.get("gen_ai.client.inference.usage.input_tokens", [])
    total = sum(point.value for point in usage)
    return len(sink.spans) >= SPANS and len(sink.events) >= len(RECORDS) and total == 25


@pytest.fixture(params=["grpc", "http/protobuf"])
def received(
    request: pytest.FixtureRequest,
    collector: Collector,
    sink: Sink,
    start: Start,
    upstreams: Providers,
) -> Sink:
    """What has arrived of the scripted calls over one of the protocols."""
    sink.clear()
    program, url = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoints[request.param],
        OTEL_EXPORTER_OTLP_PROTOCOL=request.param,
        OTEL_SERVICE_NAME="e2e",
        LLM_MESH_SERVER_SPANS="true",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )
    assert make_calls(url, upstreams) == [200, 200, 200, 400]
    program.terminate()  # the last of everything is delivered on the way out
    program.wait(10)
    assert sink.wait(is_complete), (len(sink.spans), len(sink.events), sorted(sink.metrics))
    return sink


def test_everything_arrives_with_the_values_of_the_calls(received: Sink) -> None:
    check_calls(received)
    check_tree(received)
    check_metrics(received)
    check_records(received)
    assert "SECRET-PROMPT" not in repr((received.spans, received.metrics, received.events))


def check_calls(sink: Sink) -> None:
    spans = [span for span in sink.spans if span.name.startswith("chat ")]
    assert len(spans) == len(CALLS)
    for span in spans:
        key = span.attributes.get("gen_ai.response.id", span.attributes.get("error.type"))
        given, wanted = dict(span.attributes), dict(CALLS[key])
        assert (span.name, span.kind) == (f"chat {wanted['gen_ai.request.model']}", CLIENT)
        assert isinstance(given.pop("server.port"), int)
        for name in SECONDS & wanted.keys():
            assert wanted.pop(name) is ANY
            assert 0 < given.pop(name) < 5
        assert given == wanted
        assert span.status == (ERROR if key == "400" else OK)
        assert span.resource["service.name"] == "e2e"
        assert span.resource["deployment.environment.name"] == "test"


def check_tree(sink: Sink) -> None:
    by_id = {span.span_id: span for span in sink.spans}
    roots = [span for span in sink.spans if span.parent_id not in by_id]
    assert [span.kind for span in roots] == [SERVER] * 4
    for root in roots:
        assert root.attributes["http.response.status_code"] in (200, 400)
        assert root.attributes["server.address"] == HOST
        assert root.status == OK  # the server has done what it could
    fallback = [span for span in sink.spans if span.trace_id == TRACE_ID]
    assert {span.parent_id for span in fallback if span in roots} == {PARENT_ID}
    attempts = sorted((span for span in fallback if span.name == "POST"), key=resends)
    assert [span.attributes["http.response.status_code"] for span in attempts] == [503, 200]
    assert [span.attributes["server.address"] for span in attempts] == [PRIMARY, BACKUP]
    assert [span.attributes.get("error.type") for span in attempts] == ["503", None]
    assert {by_id[span.parent_id].name for span in attempts} == {"chat small-1"}


def resends(span: ReceivedSpan) -> int:
    return int(span.attributes.get("http.request.resend_count", 0))


def check_metrics(sink: Sink) -> None:
    def values(name: str, *keys: str) -> dict[tuple[Any, ...], tuple[float, int]]:
        found: dict[tuple[Any, ...], tuple[float, int]] = {}
        for point in sink.metrics[name]:
            key = tuple(point.attributes.get(k) for k in keys)
            value, count = found.get(key, (0, 0))
            found[key] = (value + point.value, count + point.count)
        return found

    usage, server = "gen_ai.client.inference.usage", "server.address"
    for kind, primary, backup in (
        ("input_tokens", 24, 1),
        ("output_tokens", 18, 3),
        ("cache_read.input_tokens", 16, 0),
        ("reasoning.output_tokens", 6, 0),
    ):
        # The call that was refused counts too, by 0.
        wanted = {(PRIMARY,): (primary, 2), (BACKUP,): (backup, 1)}
        assert values(f"{usage}.{kind}", server) == wanted
    assert values("gen_ai.client.token.usage", server, "gen_ai.token.type") == {
        (PRIMARY, "input"): (24, 2),
        (PRIMARY, "output"): (18, 2),
        (BACKUP, "input"): (1, 1),
        (BACKUP, "output"): (3, 1),
    }
    assert values("asm_llm_proxy_prompt_tokens", "llmproxy_model") == {
        ("large-1",): (24, 1),
        ("small-1",): (1, 1),
    }
    durations = values("gen_ai.client.operation.duration", server, "error.type")
    counts = {key: count for key, (_, count) in durations.items()}
    assert counts == {(PRIMARY, None): 2, (BACKUP, None): 1, (PRIMARY, "400"): 1}
    assert values("llm_mesh.attempts", "llm_mesh.provider.name", "error.type") == {
        ("primary", None): (2, 1),
        ("primary", "503"): (1, 1),
        ("primary", "400"): (1, 1),
        ("backup", None): (1, 1),
    }
    fallback = ("llm_mesh.fallback.from", "llm_mesh.fallback.to")
    assert values("llm_mesh.fallbacks", *fallback) == {(PRIMARY, BACKUP): (1, 1)}
    assert values("llm_mesh.requests.active") == {(): (0, 1)}
    (first_token,) = sink.metrics["gen_ai.server.time_to_first_token"]
    assert (first_token.count, first_token.bounds[0], first_token.bounds[-1]) == (1, 0.001, 10.0)


def check_records(sink: Sink) -> None:
    records = [event for event in sink.events if event.name == "llm_mesh.request"]
    assert len(records) == len(RECORDS)
    for record, told in zip(records, RECORDS, strict=True):
        wanted = RECORD | told
        assert {name: record.attributes.get(name) for name in wanted} == wanted
        for name in MILLISECONDS & record.attributes.keys():
            assert 0 < record.attributes[name] < 5000
        spans = [span for span in sink.spans if span.span_id == record.attributes["span_id"]]
        assert [span.trace_id for span in spans] == [record.trace_id]
