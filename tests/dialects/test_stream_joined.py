"""A stream is put together to one answer, whatever the provider makes of its deltas."""

from __future__ import annotations

import json
import time

import pytest

from llm_mesh_middleware._dialects.openai_chat.bridge import BrokenStream, events_to_completion
from tests.dialects.events import DONE, Json, deltas, message_of, stream_of
from tests.rows import rows

# Tool calls in the orders and with the oddities that providers send them.


def call(index: int, arguments: str) -> Json:
    return {"index": index, "function": {"arguments": arguments}}


def whole_call(id: str, name: str, arguments: str) -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def first(
    index: int, id: str | None = "a", name: str | None = "f", arguments: str | None = ""
) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": id, "type": "function", "function": function}


TOOL_CALLS: dict[str, tuple[list[list[Json]], list[Json]]] = {
    "in one piece": ([[first(0, arguments="{}")]], [whole_call("a", "f", "{}")]),
    "piece by piece": (
        [[first(0)], [call(0, '{"x')], [call(0, '":1}')]],
        [whole_call("a", "f", '{"x":1}')],
    ),
    "two, one after the other": (
        [[first(0)], [call(0, "1")], [first(1, "b", "g")], [call(1, "2")]],
        [whole_call("a", "f", "1"), whole_call("b", "g", "2")],
    ),
    "two, interleaved": (
        [[first(0)], [first(1, "b", "g")], [call(1, "2")], [call(0, "1")], [call(1, "2")]],
        [whole_call("a", "f", "1"), whole_call("b", "g", "22")],
    ),
    "two in one delta": (
        [[first(0), first(1, "b", "g")], [call(1, "2"), call(0, "1")]],
        [whole_call("a", "f", "1"), whole_call("b", "g", "2")],
    ),
    "two parts of one call in one delta": (
        [[first(0, arguments="1"), call(0, "2")], [call(0, "3")]],
        [whole_call("a", "f", "123")],
    ),
    "the second before the first": (
        [[first(1, "b", "g")], [first(0)], [call(1, "2")], [call(0, "1")]],
        [whole_call("a", "f", "1"), whole_call("b", "g", "2")],
    ),
    "numbers with a gap": (
        [[first(3, "b", "g")], [first(1)]],
        [whole_call("a", "f", ""), whole_call("b", "g", "")],
    ),
    "name and type in every part": (
        [[first(0, arguments="1")], [first(0, arguments="2")]],
        [whole_call("a", "f", "12")],
    ),
    "empty id and name afterwards": (
        [[first(0, arguments="1")], [first(0, "", "", "2")]],
        [whole_call("a", "f", "12")],
    ),
    "null id and name afterwards": (
        [[first(0)], [first(0, None, None, "2")]],
        [whole_call("a", "f", "2")],
    ),
    "arguments null at first": (
        [[first(0, arguments=None)], [call(0, "{}")]],
        [whole_call("a", "f", "{}")],
    ),
    "the id after the name": (
        [[first(0, None)], [first(0, "a", None, "{}")]],
        [whole_call("a", "f", "{}")],
    ),
    "a name in two parts": (
        [[first(0, name="get_")], [first(0, name="time")], [call(0, "{}")]],
        [whole_call("a", "get_time", "{}")],
    ),
    "every call numbered 0": (
        [[first(0, "a", "f", "1")], [first(0, "b", "f", "2")], [call(0, "3")]],
        [whole_call("a", "f", "1"), whole_call("b", "f", "23")],
    ),
    "whole calls without a number": (
        [[whole_call("a", "f", "1")], [whole_call("b", "g", "2")]],
        [whole_call("a", "f", "1"), whole_call("b", "g", "2")],
    ),
}


@rows("name", TOOL_CALLS)
def test_tool_calls_are_put_together_in_any_order(name: str) -> None:
    parts, wanted = TOOL_CALLS[name]
    stream = deltas({"role": "assistant", "content": None}, *({"tool_calls": p} for p in parts))
    assert message_of(stream)["tool_calls"] == wanted


@rows(
    ("parts", "wanted"),
    [
        ([{"content": "Hel"}, {"content": "lo"}], {"content": "Hello"}),
        ([{"content": "a"}, {"content": None}, {"content": "b"}], {"content": "ab"}),
        ([{"refusal": "No"}, {"refusal": "."}], {"content": None, "refusal": "No."}),
        (
            [{"reasoning_content": "I "}, {"reasoning_content": "think"}, {"content": "Hi"}],
            {"content": "Hi", "reasoning_content": "I think"},
        ),
        (
            [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
            {"content": "ab"},
        ),
        (
            [
                {"function_call": {"name": "f", "arguments": "{"}},
                {"function_call": {"arguments": "}"}},
            ],
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        ),
        (
            [
                {"details": [{"index": 0, "type": "text", "text": "a"}]},
                {"details": [{"index": 0, "type": "text", "text": "b"}]},
            ],
            {"content": None, "details": [{"index": 0, "type": "text", "text": "ab"}]},
        ),
        (
            [{"content": [{"type": "text"}]}, {"content": [{"type": "text"}]}],
            {"content": [{"type": "text"}] * 2},
        ),
        (
            [{"images": [{"index": 0, "url": "a"}]}, {"images": [{"index": 0, "url": "b"}]}],
            {"content": None, "images": [{"index": 0, "url": "a"}, {"index": 0, "url": "b"}]},
        ),
        (
            [{"audio": {"id": "x", "data": "aa"}}, {"audio": {"data": "bb", "expires_at": 5}}],
            {"content": None, "audio": {"id": "x", "data": "aabb", "expires_at": 5}},
        ),
    ],
)
def test_deltas_continue_one_another(parts: list[Json], wanted: Json) -> None:
    assert message_of(deltas(*parts)) == {"role": "assistant"} | wanted


def test_several_choices_are_told_apart_and_come_in_order() -> None:
    def part(index: int, text: str, reason: str | None = None) -> Json:
        return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": reason}]}

    stream = stream_of(part(1, "b"), part(0, "a"), part(1, "b", "stop"), part(0, "a", "length"))
    choices = json.loads(events_to_completion(stream))["choices"]
    found = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in choices]
    assert found == [(0, "aa", "length"), (1, "bb", "stop")]


def test_token_probabilities_are_joined() -> None:
    def part(*tokens: str, reason: str | None = None) -> Json:
        logprobs = {"content": [{"token": t} for t in tokens], "refusal": None}
        return {
            "choices": [{"index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": reason}]
        }

    stream = stream_of(part("a"), part("b", "c"), part(reason="stop"))
    choice = json.loads(events_to_completion(stream))["choices"][0]
    assert [token["token"] for token in choice["logprobs"]["content"]] == ["a", "b", "c"]


@pytest.mark.slow
def test_a_long_answer_in_small_pieces_costs_no_more_than_its_length() -> None:
    # To copy what has come so far for each of them takes half a minute.
    stream = deltas(*[{"content": "x" * 500}] * 14_000)
    began = time.process_time()
    assert message_of(stream) == {"role": "assistant", "content": "x" * 7_000_000}
    assert time.process_time() - began < 5


@rows(
    "stream",
    [
        b"",
        DONE,
        b": only a comment\n\n",
        stream_of({"choices": []}),
        stream_of(
            {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]},
            done=False,
        ),
        deltas({"content": "a"})[: -len(DONE) - 10],
        b"data: oops\n\n" + deltas({"content": "a"}),
        stream_of({"error": {"message": "m"}}),
        deltas({"content": "a"}).replace(DONE, b"") + stream_of({"error": {"message": "m"}}),
        stream_of([]),  # type: ignore[arg-type]
        stream_of({"choices": 5}),
        stream_of({"choices": {"index": 0}}),
        stream_of({"choices": [None]}),
        stream_of({"choices": [{"index": 0, "delta": "text"}]}),
    ],
)
def test_a_stream_that_is_not_whole_is_no_completion(stream: bytes) -> None:
    with pytest.raises(BrokenStream):
        events_to_completion(stream)


@rows("part", [{"tool_calls": {}}, {"tool_calls": [None]}, {"content": 5}, {"role": []}])
def test_deltas_of_odd_types_are_passed_on(part: Json) -> None:
    assert message_of(deltas(part)).items() >= part.items()


def test_a_stream_is_whole_without_done_if_it_has_finished() -> None:
    stream = deltas({"content": "a"}).replace(DONE, b"")
    assert message_of(stream)["content"] == "a"


def test_what_a_stream_leaves_out_is_filled_in() -> None:
    chunk = {"choices": [{"delta": {"content": "a"}}]}
    completion = json.loads(events_to_completion(stream_of(chunk)))
    assert completion == {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a"}, "logprobs": None}
        ],
    }
