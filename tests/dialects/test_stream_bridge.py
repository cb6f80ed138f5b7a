"""Between the two forms of an answer nothing is lost, and the OpenAI SDK agrees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from llm_mesh_middleware._dialects.openai_chat.bridge import (
    NoCompletion,
    completion_to_events,
    events_to_completion,
)
from tests.dialects.events import Json, chunks_of, deltas
from tests.rows import rows
from tests.texts import texts

# Completions as providers make them, and some that none has made yet.

TEXT = texts(max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["a", "ab", "x-y", "é", "delta", "message", "finish_reason"])
UNKNOWN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
FUNCTIONS = st.fixed_dictionaries({"name": st.text("abc", min_size=1), "arguments": TEXT})
CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": st.uuids().map(str), "type": st.just("function"), "function": FUNCTIONS}
    ),
    min_size=1,
    max_size=3,
)
TOKENS = st.lists(
    st.fixed_dictionaries(
        {
            "token": TEXT,
            "logprob": st.floats(-9, 0),
            "bytes": st.none() | st.lists(st.integers(0, 255), max_size=3),
            "top_logprobs": st.lists(
                st.fixed_dictionaries(
                    {"token": TEXT, "logprob": st.just(-1.5), "bytes": st.none()}
                ),
                max_size=2,
            ),
        }
    ),
    max_size=3,
)
MESSAGE = {"role": st.just("assistant"), "content": st.none() | TEXT, "refusal": st.none() | TEXT}
LOGPROBS = st.none() | st.fixed_dictionaries({"content": TOKENS, "refusal": st.none()})
SHARED = {
    "id": TEXT,
    "created": st.integers(0, 1 << 40),
    "model": TEXT,
    "usage": st.just({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.5}),
}


def numbered(completion: Json) -> Json:
    choices = [{"index": at} | choice for at, choice in enumerate(completion["choices"])]
    return completion | {"choices": choices}


def completions(
    *reasons: str, in_message: Json, in_choice: Json, beside: Json, most: int = 3
) -> st.SearchStrategy[Json]:
    """Chat completions, with the members that may be there beside those that must."""
    message = st.fixed_dictionaries(MESSAGE, optional=in_message)
    choice = st.fixed_dictionaries(
        {"message": message, "logprobs": LOGPROBS, "finish_reason": st.sampled_from(reasons)},
        optional=in_choice,
    )
    choices = st.lists(choice, min_size=1, max_size=most)
    kind = st.just("chat.completion")
    whole = st.fixed_dictionaries(SHARED | {"object": kind, "choices": choices}, optional=beside)
    return whole.map(numbered)


COMPLETIONS = completions(
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    in_message={
        "tool_calls": CALLS,
        "reasoning_content": TEXT,
        "annotations": st.just([]),
        "x": UNKNOWN,
    },
    in_choice={"content_filter_results": UNKNOWN},
    beside={"service_tier": st.none() | TEXT, "system_fingerprint": TEXT, "x": UNKNOWN},
)
# Those that the SDK's own accumulator gets right; of a second choice it counts logprobs twice.
SDK_COMPLETIONS = completions(
    "stop",
    "tool_calls",
    in_message={"tool_calls": CALLS, "reasoning_content": TEXT},
    in_choice={},
    beside={"system_fingerprint": TEXT},
    most=1,
)
TEXTS = st.fixed_dictionaries(
    {
        "text": TEXT,
        "index": st.just(0),
        "finish_reason": st.sampled_from(["stop", "length"]),
        "logprobs": st.none()
        | st.just({"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"index": -1.5}]}),
    }
)
TEXT_COMPLETIONS = st.fixed_dictionaries(
    SHARED | {"object": st.just("text_completion"), "choices": TEXTS.map(lambda choice: [choice])}
)


@given(COMPLETIONS | TEXT_COMPLETIONS)
def test_a_completion_turned_into_events_and_back_is_itself(completion: Json) -> None:
    events = completion_to_events(json.dumps(completion).encode(), include_usage=True)
    assert json.loads(events_to_completion(events)) == completion


@given(COMPLETIONS)
def test_events_made_of_a_completion_have_the_form_of_a_stream(completion: Json) -> None:
    chunks = chunks_of(completion_to_events(json.dumps(completion).encode(), include_usage=True))
    *parts, last = chunks
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert all(chunk["usage"] is None and len(chunk["choices"]) == 1 for chunk in parts)
    assert (last["choices"], last["usage"]) == ([], completion["usage"])
    assert not any("message" in chunk["choices"][0] for chunk in parts)
    ends = [c for chunk in parts for c in chunk["choices"] if c["finish_reason"] is not None]
    assert [(c["index"], c["finish_reason"]) for c in ends] == [
        (c["index"], c["finish_reason"]) for c in completion["choices"]
    ]


def plain(value: Any) -> Any:
    """What of a completion the SDK's accumulator also knows, and no more than that."""
    if isinstance(value, dict):
        dropped = {"parsed", "parsed_arguments"} | ({"index"} if "function" in value else set())
        return {k: plain(v) for k, v in value.items() if v is not None and k not in dropped}
    return [plain(item) for item in value] if isinstance(value, list) else value


def accumulated(stream: bytes) -> Json:
    """What the OpenAI SDK makes of a stream."""
    state = ChatCompletionStreamState()
    for chunk in chunks_of(stream):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return plain(json.loads(state.get_final_completion().to_json()))  # type: ignore[no-any-return]


@settings(max_examples=25)
@given(SDK_COMPLETIONS)
def test_the_sdk_reads_our_events_as_the_completion_they_were_made_of(completion: Json) -> None:
    events = completion_to_events(json.dumps(completion).encode(), include_usage=True)
    assert accumulated(events) == plain(completion)


@settings(max_examples=25)
@given(st.data(), st.lists(TEXT, max_size=5), CALLS)
def test_we_make_of_a_stream_what_the_sdk_makes_of_it(
    data: st.DataObject, contents: list[str], calls: list[Json]
) -> None:
    parts: list[Json] = [{"role": "assistant", "content": ""}, *({"content": c} for c in contents)]
    rests: list[Json] = []
    for index, call in enumerate(calls):
        opened = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        parts.append({"tool_calls": [opened]})
        text = call["function"]["arguments"]
        at = data.draw(st.integers(0, len(text)))
        rests += [{"index": index, "function": {"arguments": t}} for t in (text[:at], text[at:])]
    parts += [{"tool_calls": [rest]} for rest in data.draw(st.permutations(rests))]
    stream = deltas(*parts, reason="tool_calls")
    assert plain(json.loads(events_to_completion(stream))) == accumulated(stream)


@rows(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"{}",
        b'{"choices":null}',
        b'{"choices":{}}',
        b'{"choices":[5]}',
        b'{"object":"list","data":[]}',
        b'{"choices":[{"message":"text"}]}',
        b"\xff",
        b'{"error":{"message":"m"}}',
    ],
)
def test_what_is_no_completion_is_not_turned_into_events(body: bytes) -> None:
    with pytest.raises(NoCompletion):
        completion_to_events(body, include_usage=True)


@rows("usage", ["", ',"usage":null', ',"usage":{"prompt_tokens":1}'])
@rows("include_usage", [False, True])
def test_counts_come_as_an_event_if_they_are_known_and_asked_for(
    usage: str, include_usage: bool
) -> None:
    body = f'{{"object":"chat.completion","choices":[{{"index":0,"message":{{}}}}]{usage}}}'
    chunks = chunks_of(completion_to_events(body.encode(), include_usage=include_usage))
    has_counts = include_usage and "prompt" in usage
    assert ("usage" in chunks[0]) is has_counts
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == [
        {"prompt_tokens": 1}
    ] * has_counts


def test_an_answer_that_does_not_name_its_kind_is_told_by_its_members() -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}'
    chunks = chunks_of(completion_to_events(body, include_usage=False))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"content": "a"}, {}]


def test_numbers_and_escapes_keep_their_spelling_in_events() -> None:
    body = (
        b'{"object":"chat.completion","x":1.0e-7,"n":10000000000000000000000,"choices":'
        b'[{"index":0,"message":{"content":"\\u00e9"},"finish_reason":"stop"}]}'
    )
    events = completion_to_events(body, include_usage=False)
    assert events.count(b'"x":1.0e-7,"n":10000000000000000000000') == 1
    assert b'"content":"\\u00e9"' in events


WHOLE: Json = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "citations": ["https://a.example"],
    "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
}


@rows("indent", [None, 1, "\t"])
@rows("line_end", ["\n", "\r\n", "\r"])
@rows("start", ["", "\ufeff", " \n"])
def test_each_event_is_one_line_however_the_body_is_formatted(
    indent: int | str | None, line_end: str, start: str
) -> None:
    body = start + json.dumps(WHOLE, indent=indent).replace("\n", line_end)
    chunks = chunks_of(completion_to_events(body.encode(), include_usage=True))
    assert chunks == chunks_of(completion_to_events(json.dumps(WHOLE).encode(), include_usage=True))
    assert [chunk.get("citations") for chunk in chunks] == [WHOLE["citations"], None, None]
    assert chunks[-1]["usage"] == WHOLE["usage"]


@rows("number", [{}, {"index": None}, {"index": 0}])
def test_tool_calls_get_the_index_that_tells_them_apart(number: Json) -> None:
    calls = [{**number, "id": id, "type": "function", "function": {"name": id}} for id in "ab"]
    body = {"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
    chunks = chunks_of(completion_to_events(json.dumps(body).encode(), include_usage=False))
    found = chunks[0]["choices"][0]["delta"]["tool_calls"]
    assert found == [{**call, "index": at} for at, call in enumerate(calls)]


@rows("calls", [{}, None, [], "text"])
def test_tool_calls_of_an_odd_type_are_passed_on(calls: Any) -> None:
    body = {"choices": [{"index": 0, "message": {"content": "a", "tool_calls": calls}}]}
    chunks = chunks_of(completion_to_events(json.dumps(body).encode(), include_usage=False))
    assert chunks[0]["choices"][0]["delta"] == {"content": "a", "tool_calls": calls}


@rows("index", [None, "0", 0.0, [0]])
def test_choices_without_a_number_are_numbered_by_their_position(index: Any) -> None:
    choices = [{"message": {"content": c}, "index": index} for c in "a"]
    body = json.dumps({"choices": choices}).encode()
    chunks = chunks_of(completion_to_events(body, include_usage=False))
    assert [chunk["choices"][0]["index"] for chunk in chunks] == [0, 0]


@rows("value", [r'"\ud83d"', r'"\ude00\ud83d"', "NaN", "-Infinity", "1e999"])
def test_what_only_an_sdk_reads_is_kept_in_events(value: str) -> None:
    body = json.dumps(WHOLE, indent=1).replace('"a"', value).replace("\n", "\r\n")
    chunks = chunks_of(completion_to_events(body.encode(), include_usage=True))
    content = chunks[0]["choices"][0]["delta"]["content"]
    assert repr(content) == repr(json.loads(value))
    assert chunks[-1]["usage"] == WHOLE["usage"]


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_completion_without_choices_is_one_event(include_usage: bool) -> None:
    body = json.dumps({**WHOLE, "choices": []}).encode()
    (chunk,) = chunks_of(completion_to_events(body, include_usage=include_usage))
    assert chunk["choices"] == []
    assert chunk["citations"] == WHOLE["citations"]
    assert chunk.get("usage") == (WHOLE["usage"] if include_usage else None)
