"""Proofs come back to their provider through clients that keep standard fields only."""

from __future__ import annotations

import json
import threading
from typing import Any

import openai
import pytest

from llm_mesh_middleware._core.conversation.answer import (
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolStart,
)
from llm_mesh_middleware._core.conversation.parts import Proof, Reasoning, Text, ToolCall
from llm_mesh_middleware._core.conversation.request import Turn
from llm_mesh_middleware._dialects.translation.proofs import ProofMemory, RememberingReader
from tests.clouds.bench import HOST, bench
from tests.translation.dialect_table import PROVIDERS

PROVING = [name for name, model in PROVIDERS.items() if model.proof]
CALLS = [("toolu_1", "look", {"at": "it"}), ("toolu_2", "look", {"at": "that"})]
TOOLS: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
THOUGHT = Reasoning("hm", Proof("a", "signed"))
CALL = ToolCall("a", "f", "{}")


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", PROVING)
def test_a_loop_that_keeps_nothing_else_keeps_its_proofs(name: str, streams: bool) -> None:
    model = PROVIDERS[name]
    asked: list[Any] = [{"role": "user", "content": "Look"}]
    ask: Any = {"model": "m", "tools": TOOLS, "reasoning_effort": "low"}
    with bench(model.config) as made:
        sdk = openai.OpenAI(
            base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
        )
        made.answer(model.plays("I should look.", "Let me.", CALLS))
        if streams:
            with sdk.chat.completions.stream(**ask, messages=asked) as stream:
                said = stream.get_final_completion().choices[0].message
        else:
            said = sdk.chat.completions.create(**ask, messages=asked).choices[0].message
        calls = [
            {"id": one.id, "type": "function", "function": one.function.model_dump()}  # type: ignore[union-attr]
            for one in said.tool_calls or ()
        ]
        for call in calls:
            call["function"] = {key: call["function"][key] for key in ("name", "arguments")}
        asked.append({"role": "assistant", "content": said.content, "tool_calls": calls})
        asked += [{"role": "tool", "tool_call_id": c["id"], "content": "seen"} for c in calls]

        made.answer(model.plays("", "Seen.", ()))
        sdk.chat.completions.create(**ask, messages=asked)
        sent = json.dumps(model.judge(made.asked))
        assert model.proof in sent
        assert "I should look." in sent or name == "gemini"  # which proves calls, not thoughts
        assert "llm-mesh." not in sent


def memory() -> ProofMemory:
    return ProofMemory(threading.Lock())


def test_thoughts_stand_before_what_was_said() -> None:
    kept = memory()
    kept.keep("", [THOUGHT, Text("Hi"), CALL])
    unproved = (Reasoning("hm"), Text("Hi"), CALL)
    (turn,) = kept.restore("", (Turn("assistant", unproved),))
    assert turn.parts == (THOUGHT, Text("Hi"), CALL)


def test_what_came_back_is_left_as_it_is() -> None:
    kept = memory()
    kept.keep("", [THOUGHT, CALL])
    own = Turn("assistant", (Reasoning("other", Proof("a", "own")), CALL))
    assert kept.restore("", (own, Turn("user", (Text("a"),)))) == (own, Turn("user", (Text("a"),)))


def test_nobody_else_finds_it() -> None:
    kept = memory()
    kept.keep("ann", [THOUGHT, CALL])
    turns = (Turn("assistant", (CALL,)),)
    assert kept.restore("bob", turns) == turns
    assert kept.restore("ann", turns) != turns


def test_calls_without_proofs_take_no_room() -> None:
    kept = memory()
    kept.keep("", [Reasoning("hm"), CALL])
    turns = (Turn("assistant", (CALL,)),)
    assert kept.restore("", turns) is turns


@pytest.mark.parametrize(("count", "text"), [(1025, "hm"), (5, "x" * 2**20)])
def test_the_oldest_is_forgotten(count: int, text: str) -> None:
    kept = memory()
    for number in range(count):
        kept.put("", str(number), (Reasoning(text, Proof("a", "s")),), None)
    oldest, newest = (
        kept.restore("", (Turn("assistant", (ToolCall(str(at), "f", "{}"),)),))[0]
        for at in (0, count - 1)
    )
    assert (len(oldest.parts), len(newest.parts)) == (1, 2)


class Scripted:
    def feed(self, data: bytes) -> list[Any]:
        proof = Proof("a", "signed")
        return [
            ReasoningDelta("h"),
            ReasoningDelta("m"),
            ReasoningEnd(proof),
            TextDelta("Hi"),
            ToolStart(0, "a", "f"),
            ToolStart(1, "b", "f", proof=Proof("g", "own")),
        ]

    def finish(self) -> list[Any]:
        return []


def test_a_stream_is_kept_as_a_whole_answer_is() -> None:
    kept = memory()
    reader = RememberingReader(Scripted(), kept, "")
    assert len(reader.feed(b"")) == 6
    assert reader.finish() == []
    other = ToolCall("b", "f", "{}")
    (turn,) = kept.restore("", (Turn("assistant", (CALL, other)),))
    assert turn.parts == (THOUGHT, CALL, ToolCall("b", "f", "{}", proof=Proof("g", "own")))
