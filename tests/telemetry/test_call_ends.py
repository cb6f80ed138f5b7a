"""Calls of one kind that end alike share most of the attributes that they end with."""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, UpstreamRequest
from llm_mesh_middleware._core.values.summary import AnswerSummary
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._telemetry.ending import Ending
from llm_mesh_middleware._telemetry.metrics.limited_names import ModelNames
from llm_mesh_middleware._telemetry.progress import CallProgress
from llm_mesh_middleware._telemetry.spans.call_attributes import end_attributes, own_attributes
from llm_mesh_middleware._telemetry.spans.call_ends import CallEnd
from llm_mesh_middleware._telemetry.spans.call_kinds import CallKinds
from llm_mesh_middleware.exceptions import UpstreamTimeout

HOST = Endpoint("api.openai.com", "https", "api.openai.com", 443, "api.openai.com")
ASKED = ClientRequest("POST", "/", Headers(()), host="llm", model="fast")
LATE = UpstreamTimeout("too late", phase="request")

ORDINARY: dict[str, Any] = {
    "status": 200,
    "error": None,
    "usage": Usage(12, 48),
    "attempts": 1,
    "is_stream": False,
    "preferred": "api.openai.com",
    "added_usage": False,
    "dropped": (),
    "summary": AnswerSummary("id-1", "m-1", "fp", "default", ("stop",)),
}
OTHERS: list[dict[str, Any]] = [
    {"status": 429},
    {"status": 504, "error": LATE},
    {"error": LATE, "is_stream": True},
    {"usage": None},
    {"attempts": 2},
    {"is_stream": True},
    {"preferred": "other.example"},
    {"added_usage": True},
    {"dropped": ("logit_bias",)},
    {"summary": None},
    {"summary": AnswerSummary("id-1", "m-2", "fp", "default", ("stop",))},
    {"summary": AnswerSummary("id-1", "m-1", "fp-2", "default", ("stop",))},
    {"summary": AnswerSummary("id-1", "m-1", "fp", "flex", ("stop",))},
    {"summary": AnswerSummary("id-1", "m-1", "fp", "default", ("stop", "length"))},
    {"summary": AnswerSummary("id-1", "m-1", "fp", "default", ("stop",), dropped=("logprobs",))},
]


class Call:
    """A call of one kind that has ended, the ordinary way but for what is given."""

    def __init__(self, **how: Any) -> None:
        given = ORDINARY | how
        sent = UpstreamRequest(
            HOST,
            "POST",
            "/",
            (),
            b"",
            1.0,
            model="m-1",
            preferred_host=given["preferred"],
            added_usage=given["added_usage"],
            dropped=given["dropped"],
        )
        self.progress = CallProgress(ASKED, 0.0, first=sent)
        self.progress.sent_at, self.progress.attempts = 0.25, given["attempts"]
        self.progress.is_stream, self.progress.summary = given["is_stream"], given["summary"]
        self.ending = Ending.of(1.0, given["status"], given["error"], given["usage"])

    def end(self, kinds: CallKinds) -> CallEnd:
        kind = kinds.of(self.progress, self.progress.first)  # type: ignore[arg-type]
        return kinds.end(kind, self.progress, self.ending)


@pytest.fixture
def kinds() -> CallKinds:
    configured = frozenset(("m-1", "m-2"))
    return CallKinds(ModelNames(lambda: configured), None)


def test_calls_that_end_alike_share_their_attributes(kinds: CallKinds) -> None:
    first, second = (
        Call(),
        Call(
            usage=Usage(7, 9),
            summary=AnswerSummary("id-2", "m-1", "fp", "default", ("stop",), events=3),
        ),
    )

    assert first.end(kinds) is second.end(kinds)


def test_calls_that_end_in_different_ways_share_nothing(kinds: CallKinds) -> None:
    ends = [Call(**how).end(kinds) for how in ({}, *OTHERS)]

    assert len({id(each) for each in ends}) == 1 + len(OTHERS)
    assert len({str(each.attributes) + str(each.account.labels.failed) for each in ends}) == len(
        ends
    )


def test_attributes_of_a_call_come_from_one_place_each(kinds: CallKinds) -> None:
    for how in ({}, *OTHERS):
        call = Call(**how)
        end, own = call.end(kinds), own_attributes(call.progress, call.ending, True)
        kind = kinds.of(call.progress, call.progress.first)  # type: ignore[arg-type]

        assert own.keys().isdisjoint(end.attributes), how
        assert kind.attributes.keys().isdisjoint(end.attributes.keys() | own.keys()), how
        assert end_attributes(call.progress, call.ending, kind) == {**end.attributes, **own}


def test_ways_to_end_are_limited_in_number(kinds: CallKinds) -> None:
    for number in range(300):
        call = Call(summary=AnswerSummary(system_fingerprint=f"fp-{number}"))
        assert call.end(kinds).attributes["openai.response.system_fingerprint"] == f"fp-{number}"

    kind = kinds.of(call.progress, call.progress.first)  # type: ignore[arg-type]
    assert 0 < len(kind.ends) <= 64


def test_long_texts_of_a_provider_are_not_kept(kinds: CallKinds) -> None:
    call = Call(summary=AnswerSummary(system_fingerprint="x" * 100_000))

    assert call.end(kinds).attributes["openai.response.system_fingerprint"] == "x" * 256
    assert not kinds.of(call.progress, call.progress.first).ends  # type: ignore[arg-type]
