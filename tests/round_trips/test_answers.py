"""An answer that a dialect tells, whole or as a stream, is read as the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mesh_middleware._core.conversation.answer import Answer, Usage
from llm_mesh_middleware._core.conversation.parts import (
    Citation,
    Image,
    Proof,
    Reasoning,
    Text,
    ToolCall,
)
from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._dialects.translation.whole import Accumulator, deltas_of
from tests.round_trips.values import base64, calls, names, texts, whole
from tests.translation.dialect_table import CLIENTS, DIALECTS

STAMP = Stamp(1, "token", "m")
# The letter of the proofs that a dialect has itself; chat completions have none.
LETTERS = {"messages": "a", "responses": "r", "gemini": "g"}
_usages = st.builds(
    lambda new, said, read, thought: Usage(new + read, said + thought, read, 0, thought),
    *[st.integers(0, 999)] * 4,
)


def thoughts(name: str) -> st.SearchStrategy[Reasoning]:
    letter = LETTERS.get(name)
    if letter is None:
        return st.builds(Reasoning, texts)
    return st.builds(lambda text, proof: Reasoning(text, Proof(letter, proof)), texts, names)


def images(name: str) -> st.SearchStrategy[Image]:
    """Images; chat completions and Gemini have signatures on them."""
    proofs = st.none() | st.builds(Proof, st.just("g"), names)
    proof = st.none() if name == "responses" else proofs
    kinds = st.sampled_from(["image/png", "image/webp"])
    return st.builds(lambda kind, data, one: Image(kind, data, proof=one), kinds, base64, proof)


def said_in(name: str) -> st.SearchStrategy[Text]:
    """A text, with its sources where a dialect has them."""
    if name == "messages":
        return st.builds(Text, texts)
    source = st.builds(Citation, names.map(lambda name: f"https://x.example/{name}"), names)
    sources = st.lists(source, max_size=2, unique_by=lambda one: one.url)
    return st.builds(lambda text, cited: Text(text, citations=tuple(cited)), texts, sources)


@st.composite
def answers(draw: st.DrawFn, name: str) -> Answer:
    """An answer with thoughts, then a text, images and calls; some of it, or all."""
    thought = draw(st.lists(thoughts(name), max_size=1))
    said = draw(st.lists(said_in(name), max_size=1))
    made = draw(st.just([]) | calls())
    drawn = [] if name == "messages" else draw(st.lists(images(name), max_size=2))
    if not said and not made and not drawn:
        said = [Text("x")]
    finish = "tool_calls" if made else draw(st.sampled_from(["stop", "length", "refused"]))
    return Answer(
        id="id_1",
        model=draw(names),
        parts=(*thought, *said, *drawn, *(ToolCall(id, n, whole(args)) for id, n, args, _ in made)),
        finish=finish,
        usage=draw(_usages),
    )


def seen(answer: Answer) -> dict[str, Any]:
    """What every dialect can tell of an answer; ids of items and summaries are its own."""
    parts = [
        (part.text, part.proof) if isinstance(part, Reasoning) else part for part in answer.parts
    ]
    return {
        "parts": [(p.id, p.name, p.arguments) if isinstance(p, ToolCall) else p for p in parts],
        "model": answer.model,
        "finish": answer.finish,
        "usage": answer.usage,
    }


@pytest.mark.parametrize("name", CLIENTS)
@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_a_whole_answer_loses_nothing(name: str, data: st.DataObject) -> None:
    answer, spoken = data.draw(answers(name)), DIALECTS[name]
    conversation = spoken.side.read_request(spoken.request)
    body = spoken.side.write_answer(answer, conversation, STAMP)
    assert seen(spoken.side.read_answer(body, STAMP)) == seen(answer)


@pytest.mark.parametrize("name", CLIENTS)
@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_a_stream_loses_nothing(name: str, data: st.DataObject) -> None:
    answer, spoken = data.draw(answers(name)), DIALECTS[name]
    writer = spoken.side.event_writer(spoken.side.read_request(spoken.request), STAMP)
    events = writer.write(deltas_of(answer))
    reader, collected = spoken.side.event_reader(STAMP), Accumulator()
    half = len(events) // 2
    collected.add([*reader.feed(events[:half]), *reader.feed(events[half:]), *reader.finish()])
    assert seen(collected.answer) == seen(answer)
