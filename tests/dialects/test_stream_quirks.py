"""Streams as single providers write them, put together to what their own JSON form would say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware._dialects.openai_chat.bridge import BrokenStream, events_to_completion
from tests.dialects.events import DONE, Json, deltas, message_of, stream_of
from tests.rows import rows

UNNUMBERED: dict[str, Json] = {"without an index": {}, "with an index of null": {"index": None}}


def call(id: str | None = "a", name: str = "f", arguments: str = "", **more: Any) -> Json:
    named = {} if id is None else {"id": id}
    return {**more, **named, "type": "function", "function": {"name": name, "arguments": arguments}}


def further(arguments: str, **more: Any) -> Json:
    return {**more, "function": {"arguments": arguments}}


def calls_of(*parts: list[Json]) -> list[tuple[str | None, str, str]]:
    message = message_of(deltas({"role": "assistant"}, *({"tool_calls": p} for p in parts)))
    found = message["tool_calls"]
    assert not any("index" in call for call in found)
    assert all(call["type"] == "function" for call in found)
    return [(c.get("id"), c["function"]["name"], c["function"]["arguments"]) for c in found]


@pytest.mark.parametrize("number", UNNUMBERED)
def test_calls_without_an_index_are_continued_by_their_position(number: str) -> None:
    no = UNNUMBERED[number]
    one = [[call(**no)], [further('{"x":', **no)], [further("1}", **no)]]
    assert calls_of(*one) == [("a", "f", '{"x":1}')]
    then = [[call("b", "g", **no)], [further("2", **no)]]
    assert calls_of(*one, *then) == [("a", "f", '{"x":1}'), ("b", "g", "2")]
    both = [[call(**no), call("b", "g", **no)], [further("1", **no), further("2", **no)]]
    assert calls_of(*both) == [("a", "f", "1"), ("b", "g", "2")]


@rows("number", [{}, {"index": None}, {"index": 0}, {"index": 1}])
def test_a_call_is_continued_by_its_id_whatever_its_index_is(number: Json) -> None:
    parts = [[call("a", index=0)], [call("b", "g", index=1)]]
    more = [[further("1", id="a", **number)], [further("2", id="b", **number)]]
    assert calls_of(*parts, *more) == [("a", "f", "1"), ("b", "g", "2")]


@rows(
    ("parts", "expected"),
    [
        # A new id with a name, a new name alone, the same name where the arguments are whole.
        ([[call("a", "f", "1")], [call("b", "f", "2")]], [("a", "f", "1"), ("b", "f", "2")]),
        ([[call("a", "f", "1")], [call(None, "g", "2")]], [("a", "f", "1"), (None, "g", "2")]),
        (
            [[call(None, "f", "{}")], [call(None, "g", "{}")]],
            [(None, "f", "{}"), (None, "g", "{}")],
        ),
        ([[call("", "f", "{}")], [call("", "f", "{}")]], [("", "f", "{}"), ("", "f", "{}")]),
        # None of them.
        ([[call(None, "f", "{")], [call(None, "f", "}")]], [(None, "f", "{}")]),
        ([[call("a", "f")], [further("1", id="b")]], [("a", "f", "1")]),
        ([[call("a", "get")], [call("a", "get_time", "1")]], [("a", "get_time", "1")]),
    ],
)
@rows("number", [{"index": 0}, {}, {"index": None}, {"index": "0"}])
def test_one_index_may_stand_for_several_calls(
    parts: list[list[Json]], expected: list[tuple[str | None, str, str]], number: Json
) -> None:
    numbered = [[{**number, **part} for part in delta] for delta in parts]
    assert calls_of(*numbered) == expected


def test_an_index_that_counts_the_parts_of_a_call_is_no_other_call() -> None:
    parts = [[call(index=0)], [further("{", index=1)], [further("}", index=2)]]
    assert calls_of(*parts) == [("a", "f", "{}")]


@pytest.mark.parametrize("arguments", [{}, {"arguments": None}])
def test_a_call_has_arguments_and_a_type_where_the_provider_left_them_out(arguments: Json) -> None:
    part = {"index": 0, "id": "a", "function": {"name": "f", **arguments}}
    assert calls_of([part]) == [("a", "f", "")]


def chunks_of_choice(*choices: Json, **shared: Any) -> bytes:
    return stream_of(*({"id": "c1", "model": "m", "choices": [c], **shared} for c in choices))


def completion_of(stream: bytes) -> Json:
    return dict(json.loads(events_to_completion(stream)))


@rows("where", ["first", "last"])
@rows("choices", [[], None, [{"index": 0, "content_filter_results": {"a": 1}}]])
def test_what_is_empty_overwrites_nothing(where: str, choices: Any) -> None:
    kind = "chat.completion.chunk"
    told = {"id": "c1", "object": kind, "created": 5, "model": "m", "service_tier": "default"}
    empty = {"id": "", "object": "", "created": 0, "model": "", "service_tier": None}
    part = {"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    odd = {**empty, "choices": choices, "prompt_filter_results": [{"prompt_index": 0}]}
    events = [odd, {**told, "choices": [part]}]
    completion = completion_of(stream_of(*(events if where == "first" else events[::-1])))
    choice = completion.pop("choices")[0]
    assert completion == {
        **told,
        "object": "chat.completion",
        "prompt_filter_results": [{"prompt_index": 0}],
    }
    assert (choice["message"]["content"], choice["finish_reason"]) == ("a", "stop")
    assert choice.get("content_filter_results") == ({"a": 1} if choices else None)


@pytest.mark.parametrize("reason", ["", None])
def test_a_finish_reason_is_not_taken_back(reason: str | None) -> None:
    parts = [("a", "stop"), ("", reason)]
    choices = [{"index": 0, "delta": {"content": c}, "finish_reason": r} for c, r in parts]
    assert completion_of(chunks_of_choice(*choices))["choices"][0]["finish_reason"] == "stop"


def details(*parts: Json) -> list[Json]:
    message = message_of(deltas(*({"reasoning_details": [part]} for part in parts)))
    return list(message["reasoning_details"])


TEXT: Json = {"type": "reasoning.text", "format": "anthropic-claude-v1"}
SUMMARY: Json = {"type": "reasoning.summary", "format": "openai-responses-v1"}
SECRET: Json = {"type": "reasoning.encrypted", "format": "openai-responses-v1"}


@pytest.mark.parametrize("number", [{"index": 0}, {}])
def test_reasoning_details_are_continued_within_their_type(number: Json) -> None:
    text = [{**TEXT, **number, "text": "Let"}, {**TEXT, **number, "text": " me"}]
    signed = {**TEXT, **number, "signature": "Et"}
    assert details(*text, signed) == [{**TEXT, **number, "text": "Let me", "signature": "Et"}]
    parts = [{**SUMMARY, **number, "summary": "Think"}, {**SUMMARY, **number, "summary": "ing"}]
    secrets = [{**SECRET, **number, "data": data, "id": data} for data in ("gA", "gB")]
    assert details(*parts, *secrets) == [{**SUMMARY, **number, "summary": "Thinking"}, *secrets]


def test_reasoning_details_of_other_indexes_or_ids_are_other_blocks() -> None:
    blocks = [{**TEXT, "index": 0, "text": "a"}, {**TEXT, "index": 1, "text": "b"}]
    assert details(*blocks) == blocks
    named = [{**TEXT, "index": 0, "id": id, "text": "a"} for id in "xy"]
    assert details(*named) == named
    nulls = {"id": None, "signature": None, "index": 0}
    assert details(*({**TEXT, **nulls, "text": t} for t in "ab")) == [
        {**TEXT, **nulls, "text": "ab"}
    ]


def test_signed_text_is_not_continued_without_an_index() -> None:
    parts = [{**TEXT, "text": "a", "signature": "s"}, {**TEXT, "text": "b"}]
    assert details(*parts) == parts


def thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def text_part(text: str) -> Json:
    return {"type": "text", "text": text}


REFERENCE: Json = {"type": "reference", "reference_ids": [1]}


@rows(
    ("contents", "expected"),
    [
        (
            ["", [thinking("a")], [thinking("b")], "Hel", "lo", ""],
            [thinking("ab"), text_part("Hello")],
        ),
        (
            ["", [thinking("a")], [text_part("Hel")], [text_part("lo")]],
            [thinking("a"), text_part("Hello")],
        ),
        (["Hel", [REFERENCE], "lo"], [text_part("Hel"), REFERENCE, text_part("lo")]),
        (["He", "l", [REFERENCE]], [text_part("Hel"), REFERENCE]),
        ([[text_part("a"), text_part("b")]], [text_part("a"), text_part("b")]),
        ([None, "a", [], None, "b"], "ab"),
    ],
)
def test_text_and_lists_of_content_meet_as_parts(contents: list[Any], expected: Any) -> None:
    assert message_of(deltas(*({"content": c} for c in contents)))["content"] == expected


@rows("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept(name: str) -> None:
    message = message_of(deltas({name: "I "}, {name: "think"}, {"content": "Hi", name: None}))
    assert message == {"role": "assistant", "content": "Hi", name: "I think"}


@rows("name", ["type", "name", "format", "model", "object", "signature"])
def test_naming_members_are_set_and_never_joined(name: str) -> None:
    parts = [{"x": {name: value}} for value in ("a", "a", "", "b", "")]
    assert message_of(deltas(*parts))["x"] == {name: "b"}


def test_an_id_is_set_once() -> None:
    parts = [{"x": {"id": value}} for value in ("", "a", "a", "", "b")]
    assert message_of(deltas(*parts))["x"] == {"id": "a"}


@rows(
    "parts",
    [
        [
            {"delta": {"content": "He"}},
            {"delta": {"content": "llo"}, "message": {"content": "Hello"}},
        ],
        [{"delta": {"content": "Hello"}}, {"message": {"role": "assistant", "content": "Hello"}}],
        [{"message": {"content": "Hel"}}, {"message": {"content": "Hello"}}],
        [{"delta": None, "message": {"content": "Hello"}}],
    ],
)
def test_a_message_beside_deltas_repeats_them(parts: list[Json]) -> None:
    completion = completion_of(chunks_of_choice(*parts))
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}


@rows("indexes", [[0, 1, 2, 3], [None] * 4, ["0"] * 4, [0.0] * 4, [[0]] * 4])
def test_an_index_that_numbers_no_choice_is_none(indexes: list[Any]) -> None:
    said = [("He", None), ("l", None), ("lo", None), ("", "stop")]
    choices = [
        {"index": index, "delta": {"content": content}, "finish_reason": reason}
        for index, (content, reason) in zip(indexes, said, strict=True)
    ]
    stream = chunks_of_choice(*choices)
    assert events_to_completion(stream.replace(DONE, b"")) == events_to_completion(stream)
    (choice,) = completion_of(stream)["choices"]
    assert (choice["index"], choice["message"]["content"]) == (0, "Hello")
    assert choice["finish_reason"] == "stop"


@rows("odd", [b"null", b"5", b"[]", b'"text"', b'{"choices":[null]}', b"{}"])
def test_events_without_members_of_a_chunk_are_skipped(odd: bytes) -> None:
    event = b"data: " + odd + b"\n\n"
    assert message_of(event + deltas({"content": "a"}))["content"] == "a"
    assert message_of(deltas({"content": "a"}).replace(DONE, event + DONE))["content"] == "a"


def test_what_follows_the_end_is_not_read() -> None:
    assert message_of(deltas({"content": "a"}) + b"data: {\n\n")["content"] == "a"


@rows("error", ['""', "{}", "false", "0", "null"])
def test_an_error_that_is_false_is_none(error: str) -> None:
    stream = deltas({"content": "a"}).replace(
        b'"choices"', b'"error": %b, "choices"' % error.encode()
    )
    assert message_of(stream)["content"] == "a"


@rows("error", [{"message": "m"}, "text", {"code": 1}, True])
def test_an_error_breaks_the_stream(error: Any) -> None:
    with pytest.raises(BrokenStream, match="error"):
        events_to_completion(
            deltas({"content": "a"}).replace(DONE, b"") + stream_of({"error": error})
        )


@rows(
    ("first", "second", "expected"),
    [(r"\ud83d", r"\ude00", "\N{GRINNING FACE}"), (r"\ud83d", "b", "\ud83db"), ("é", "", "é")],
)
def test_halves_of_a_surrogate_pair_are_kept(first: str, second: str, expected: str) -> None:
    stream = deltas({"content": "FIRST"}, {"content": "SECOND"})
    stream = stream.replace(b"FIRST", first.encode()).replace(b"SECOND", second.encode())
    assert message_of(stream)["content"] == expected


@rows("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 30])
def test_numbers_that_an_sdk_reads_are_kept(number: str) -> None:
    completion = events_to_completion(deltas({"x": "NUMBER"}).replace(b'"NUMBER"', number.encode()))
    assert repr(json.loads(completion)["choices"][0]["message"]["x"]) == repr(json.loads(number))


def test_counts_that_a_choice_or_a_vendor_holds_are_those_of_the_completion() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    part = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
    assert completion_of(chunks_of_choice({**part, "usage": usage}))["usage"] == usage
    assert completion_of(chunks_of_choice(part, x_groq={"usage": usage}))["usage"] == usage
    own = completion_of(chunks_of_choice({**part, "usage": {}}, usage=usage))
    assert own["usage"] == usage


def test_lists_of_a_choice_grow() -> None:
    parts = [{"index": 0, "delta": {"content": "a"}, "token_ids": [n]} for n in (1, 2)]
    completion = completion_of(chunks_of_choice(*parts, {"index": 0, "finish_reason": "stop"}))
    assert completion["choices"][0]["token_ids"] == [1, 2]
