"""Where the access log is all that is wanted of a call, its record is the one of full telemetry."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracerProvider

from llm_mesh_middleware import Mesh
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._telemetry.call import CallObservation
from llm_mesh_middleware._telemetry.direct_call import DirectCall
from llm_mesh_middleware._telemetry.logged_call import LoggedCall
from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, Stream, chat_completion
from llm_mesh_middleware.testing import chat_stream as events
from tests.benchmarks.paths import logged
from tests.telemetry.recording import STREAM, calling, chat, make_mesh

TIMES = ("duration_ms", "overhead_ms", "ttfc_ms")
TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
USAGE = {"prompt_tokens": 20, "completion_tokens": 9}
REQUEST = ClientRequest("POST", "/", Headers(()))
FAILED = Answer(503, [], {"error": {"message": "busy"}})


@pytest.mark.parametrize(
    ("answers", "request_"),
    [
        ([Answer(200, [("x-request-id", "r-1")], chat_completion("Hi", usage=USAGE))], {}),
        ([Answer(200, [], chat_completion("Hi"))], {"headers": TRACE}),
        ([Stream(events(["Good ", "day"]))], {"body": STREAM}),
        ([FAILED, FAILED, FAILED], {}),
        ([FAILED, Answer(200, [("x-request-id", "r-2")], chat_completion("Hi"))], {}),
        ([Answer(401, [], {"error": {"message": "no"}})], {}),
        ([Stream(events(["Good "])[:1])], {"body": STREAM}),
        ([Cut(), Cut(), Cut()], {}),
        ([], {"body": {"model": 7}}),
    ],
)
async def test_both_ways_of_recording_write_the_same(
    upstream: FakeUpstream,
    records: list[logging.LogRecord],
    answers: list[Any],
    request_: dict[str, Any],
) -> None:
    written = []
    for options in ({"tracer_provider": NoOpTracerProvider()}, {}):
        upstream.script(*answers)
        mesh = make_mesh(None, upstream, rule={"retry": {"backoff": "1ms"}}, **options)
        async with calling(mesh) as client:
            await chat(client, **request_)
        fields = dict(records.pop().llm_mesh)  # type: ignore[attr-defined]
        assert not records
        times = {name: fields.pop(name) is not None for name in TIMES}
        written.append((fields, times))
    assert written[0] == written[1]


# What the record has no room for.
UNRECORDED = {"chunks", "expired", "settled", "mirroring"}
NO_PART_OF_A_LINE = {"charged", "decided", "summarised"}


def test_the_short_way_hears_of_whatever_the_long_one_does() -> None:
    def hooks(kind: type) -> set[str]:
        return {name for name in vars(Observation) if callable(getattr(kind, name))} & set(
            vars(kind)
        )

    public = {name for name in hooks(CallObservation) if not name.startswith("_")}
    assert public - UNRECORDED == {name for name in hooks(LoggedCall) if not name.startswith("_")}
    assert public - UNRECORDED - NO_PART_OF_A_LINE == hooks(DirectCall)


async def test_a_line_without_a_record_needs_no_facts_of_the_response_but_its_usage(
    upstream: FakeUpstream,
) -> None:
    upstream.script(Answer(200, [], chat_completion("Hi", usage=USAGE)))
    mesh, written = make_mesh(None, upstream), io.StringIO()
    with logged(written):
        async with calling(mesh) as client:
            await chat(client)
        observation = mesh._parts.telemetry.observe(REQUEST)
    assert (type(observation), observation.detail) == (DirectCall, "usage")
    assert " 20+9 tokens\n" in written.getvalue()


async def test_the_short_way_is_taken_where_there_is_no_sdk(
    upstream: FakeUpstream, records: list[logging.LogRecord]
) -> None:
    def kind(mesh: Mesh) -> type:
        return type(mesh._parts.telemetry.observe(REQUEST))

    assert kind(make_mesh(None, upstream)) is LoggedCall
    with_spans = make_mesh(None, upstream, tracer_provider=NoOpTracerProvider())
    assert kind(with_spans) is CallObservation
