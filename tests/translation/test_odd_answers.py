"""Odd whole answers of providers, as the SDK of another dialect gets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware.testing import Answer
from tests.clouds.bench import bench
from tests.rows import rows
from tests.translation.dialect_table import DIALECTS, PROVIDERS
from tests.translation.matrix.sdks import SDKS
from tests.translation.spoken.rows import Part

STAMP = Stamp(1, "token", "m")
SAID = {name: provider.write(Part()) for name, provider in PROVIDERS.items()}
CALLED = {
    name: provider.write(Part("", calls=(("a", "look", {"at": "it"}),), finish="tool_calls"))
    for name, provider in PROVIDERS.items()
}


def first(body: dict[str, Any], member: str, **more: Any) -> dict[str, Any]:
    """The body, with members of the first item of a list replaced."""
    return body | {member: [body[member][0] | more]}


# Answers that were cut off, though their status is 200.
CUT_OFF: dict[str, dict[str, Any]] = {
    "chat": first(SAID["chat"], "choices", finish_reason=None),
    "responses": SAID["responses"] | {"status": "in_progress"},
    "messages": SAID["messages"] | {"stop_reason": None},
    "gemini": first(SAID["gemini"], "candidates", finishReason=None),
    "ollama": SAID["ollama"] | {"done": False, "done_reason": None},
}


def with_null(value: Any) -> Any:
    """The value, with null in place of a call's arguments."""
    if isinstance(value, list):
        return list(map(with_null, value))
    if not isinstance(value, dict):
        return value
    names = ("args", "arguments", "input")
    return {name: None if name in names else with_null(inner) for name, inner in value.items()}


@rows("name", CUT_OFF)
def test_an_answer_that_was_cut_off_does_not_look_complete(name: str) -> None:
    sdk = SDKS["messages" if name == "chat" else "chat"]
    with bench(PROVIDERS[name].config) as made:
        for streams in (False, True):
            made.answer(*[Answer(body=CUT_OFF[name])] * 3)
            with pytest.raises(sdk.raises[500]):
                sdk.ask(made, streams=streams)


@rows("name", CALLED)
def test_null_stands_for_no_arguments(name: str) -> None:
    sdk = SDKS["messages" if name == "chat" else "chat"]
    with bench(PROVIDERS[name].config) as made:
        made.answer(Answer(body=with_null(CALLED[name])))
        assert sdk.ask(made, streams=False).calls == (("look", {}),)


EXPLAINED: dict[str, dict[str, Any]] = {
    "messages": SAID["messages"]
    | {
        "content": [],
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": None, "explanation": "No."},
    },
    "gemini": {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "No."}},
    "gemini's candidate": first(
        SAID["gemini"], "candidates", content={}, finishReason="SPII", finishMessage="No."
    ),
}


@rows("name", EXPLAINED)
def test_a_refusal_is_told_with_its_explanation(name: str) -> None:
    side = DIALECTS[name.partition("'")[0]].side
    answer = side.read_answer(json.dumps(EXPLAINED[name]).encode(), STAMP)
    assert answer.finish == "refused"
    chat = DIALECTS["chat"]
    body = chat.side.write_answer(answer, chat.side.read_request(chat.request), STAMP)
    message = json.loads(body)["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "No.")
