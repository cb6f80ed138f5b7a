"""How far a stream is, what it reports, and what it fails with, read on the side."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.conversation.content import Message, Part
from llm_mesh_middleware._core.dialect import EventKind, FactReader
from llm_mesh_middleware._core.values.payload import is_json
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects import anthropic, openai_chat, openai_responses
from llm_mesh_middleware._dialects.openai_chat.facts import (
    ChatFacts,
    is_completion,
    read_fields,
    without_usage,
)
from tests.rows import rows

DIALECTS = {
    "chat": openai_chat.DIALECT,
    "responses": openai_responses.DIALECT,
    "messages": anthropic.DIALECT,
}


def facts_of(*events: str, dialect: str = "chat") -> FactReader:
    facts = DIALECTS[dialect].facts()
    for event in events:
        assert facts.read(event.encode()) is not EventKind.UNREADABLE
    return facts


def choice(index: int = 0, reason: str = "null") -> str:
    return f'{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":{reason}}}]}}'


STOP = '"stop"'


@rows(
    ("events", "is_complete"),
    [
        ([], False),
        (["[DONE]"], True),
        ([" [DONE] "], True),
        ([choice()], False),
        ([choice(), choice(reason=STOP)], True),
        ([choice(reason='"content_filter"')], True),
        ([choice(reason='""')], False),
        (['{"choices":[{"index":0,"delta":{}}]}'], False),
        ([choice(0), choice(1), choice(0, STOP)], False),
        ([choice(0), choice(1), choice(1, STOP), choice(0, STOP)], True),
        ([choice(0), choice(1), choice(0, STOP), "[DONE]"], True),
        ([choice(reason=STOP), '{"choices":[],"usage":{"prompt_tokens":1}}'], True),
        (['{"choices":[],"prompt_filter_results":[]}'], False),
        (['{"choices":null}', "{}", "1", "null", '"text"', "[]"], False),
        (['"[DONE]"'], True),
        ([choice(reason=STOP), choice()], True),
        ([choice(reason=STOP), '{"choices":[{"index":0,"delta":{}}],"usage":{}}'], True),
        ([choice(0), choice(1), choice(0, STOP), choice(0)], False),
        (
            ['{"choices":[{"index":null}]}', '{"choices":[{"index":0,"finish_reason":"stop"}]}'],
            True,
        ),
        (['{"choices":[{"index":"1"}]}', choice(1, STOP)], True),
        (['{"choices":[{"index":1.0}]}', choice(1, STOP)], True),
        (['{"choices":[{"index":0},{}]}', choice(0, STOP), choice(1, STOP)], True),
        ([choice(reason='{"type":"stop"}')], True),
        (['{"error":{"message":"m"}}'], True),
        (['{"error":null}'], False),
        (['{"type":"error","message":"m"}'], True),
    ],
)
def test_a_stream_of_chunks_is_complete_when_it_says_so_or_every_choice_is(
    events: list[str], is_complete: bool
) -> None:
    assert facts_of(*events).is_complete is is_complete


@rows(
    ("dialect", "event", "is_complete"),
    [
        ("responses", '{"type":"response.created","response":{}}', False),
        ("responses", '{"type":"response.output_text.done","text":"x"}', False),
        ("responses", '{"type":"response.completed","response":{}}', True),
        ("responses", '{"type":"response.incomplete","response":{}}', True),
        ("responses", '{"type":"response.cancelled","response":{}}', True),
        ("responses", '{"type":"response.failed","response":{}}', True),
        ("messages", '{"type":"message_delta","delta":{"stop_reason":"end_turn"}}', False),
        ("messages", '{"type":"message_stop"}', True),
        ("messages", '{"type":"error","error":{"type":"overloaded_error"}}', True),
        ("chat", '{"type":"message_stop"}', False),
        ("chat", '{"type":"response.completed"}', False),
        ("messages", "[DONE]", True),
        ("responses", "[DONE]", True),
    ],
)
def test_each_dialect_has_its_own_last_events(dialect: str, event: str, is_complete: bool) -> None:
    assert facts_of(event, dialect=dialect).is_complete is is_complete


@rows(
    ("dialect", "name", "data"),
    [
        ("responses", b"response.completed", b'{"response":{}}'),
        ("responses", b"response.cancelled", b"{}"),
        ("messages", b"message_stop", b"{}"),
        ("messages", b"message_stop", b'{"type":null}'),
    ],
)
def test_the_name_of_an_event_stands_in_for_its_type(
    dialect: str, name: bytes, data: bytes
) -> None:
    facts = DIALECTS[dialect].facts()
    assert facts.read(data, name) is EventKind.CONTENT
    assert facts.is_complete


@rows(
    ("dialect", "event"),
    [
        ("chat", '{"error":{"message":"m"}}'),
        ("chat", '{"error":"overloaded"}'),
        ("chat", '{"error":{"message":"m"},"choices":[{"index":0,"finish_reason":"error"}]}'),
        ("chat", '{"error":{"message":"m"},"choices":{},"usage":[],"type":7}'),
        ("chat", '{"error":{"message":"m","limit":NaN}}'),
        ("chat", '{"type":"error","code":"x","message":"m","param":null}'),
        ("responses", '{"type":"error","code":"x","message":"m","param":null}'),
        ("responses", '{"type":"response.failed","response":{"error":{"message":"m"}}}'),
        ("responses", '{"error":{"message":"m"}}'),
        ("messages", '{"type":"error","error":{"type":"overloaded_error","message":"m"}}'),
        ("messages", '{"error":{"message":"m"}}'),
    ],
)
def test_a_failure_that_the_provider_tells_of_is_seen(dialect: str, event: str) -> None:
    facts = DIALECTS[dialect].facts()
    assert facts.read(event.encode()) is EventKind.ERROR
    assert facts.has_failed
    assert facts.is_done


@rows("dialect", DIALECTS)
def test_an_event_that_is_named_an_error_is_one(dialect: str) -> None:
    facts = DIALECTS[dialect].facts()
    assert facts.read(b'{"code":"InvalidParameter","message":"m"}', b"error") is EventKind.ERROR
    assert facts.has_failed


@rows("dialect", DIALECTS)
@rows("error", ["null", '""', "{}", "[]", "false", "0", "0.0"])
def test_an_error_that_is_empty_is_none(dialect: str, error: str) -> None:
    event = f'{{"error":{error},"choices":[{{"index":0,"finish_reason":"stop"}}]}}'
    assert not facts_of(event, dialect=dialect).has_failed


@rows("error", ['{"message":""}', '{"code":0}', '{"message":null,"code":"x"}'])
def test_beside_choices_an_error_without_a_message_is_none(error: str) -> None:
    event = f'{{"error":{error},"choices":[{{"index":0,"finish_reason":"stop"}}]}}'
    assert not facts_of(event).has_failed
    assert facts_of(f'{{"error":{error},"choices":[]}}').has_failed


@rows("dialect", DIALECTS)
@rows("data", [b"{", b"", b"ping", b'{"a":}', b"[DONE", b"{}{}", b"\xff\xfe", b"[" * 100_000])
def test_what_no_sdk_can_read_is_told_apart(dialect: str, data: bytes) -> None:
    assert DIALECTS[dialect].facts().read(data) is EventKind.UNREADABLE
    assert DIALECTS[dialect].read_whole(data) is None


@rows("dialect", DIALECTS)
@rows(
    "data",
    [
        b'{"text":"\\ud83d"}',
        b'{"text":"\\ude00\\ud83d"}',
        b'{"logprob":NaN}',
        b'{"logprob":-Infinity}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"n":' + b"9" * 5000 + b"}",
    ],
)
def test_what_an_sdk_can_read_is_read(dialect: str, data: bytes) -> None:
    assert DIALECTS[dialect].facts().read(data) is EventKind.CONTENT
    assert DIALECTS[dialect].read_whole(data) is not None


PLAIN = '"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]'
MEMBERS = ['"error":null', '"error":{"message":"m"}', '"error":""', '"type":null', '"type":"error"']
MEMBERS += ['"choices":null', '"choices":[]', '"choices":7', '"choices":[{}]', '"id":"x"', PLAIN]


@rows("body", ["{%s}", '{"id":7,%s}', '{%s,"error":null}', '{"type":null,%s,"usage":"odd"}'])
def test_a_plain_completion_is_told_without_its_facts(body: str) -> None:
    assert is_completion((body % PLAIN).encode())


@given(st.lists(st.sampled_from(MEMBERS), max_size=3), st.sampled_from(["", "}", "x", "\0"]))
def test_what_is_told_without_its_facts_is_no_failure_by_them(
    members: list[str], rest: str
) -> None:
    body = f"{{{','.join(members)}}}{rest}".encode()
    whole = openai_chat.DIALECT.read_whole(body)
    assert not is_completion(body) or (whole is not None and not whole.is_error)


@rows(
    "odd",
    [
        '"index":null',
        '"index":"0"',
        '"index":0.0',
        '"usage":[]',
        '"usage":{"prompt_tokens":"3"}',
        '"logprobs":NaN',
        '"delta":{"content":"\\ud83d"}',
    ],
)
def test_an_odd_member_of_a_choice_hides_none_of_its_neighbours(odd: str) -> None:
    usage = '"usage":{"prompt_tokens":3,"completion_tokens":1}'
    facts = facts_of(f'{{"id":"a","choices":[{{{odd},"finish_reason":"stop"}}],{usage}}}')
    assert facts.usage == Usage(3, 1)
    assert facts.summary().finish_reasons == ("stop",)
    assert facts.summary().id == "a"


def test_empty_names_do_not_take_back_earlier_ones() -> None:
    facts = ChatFacts()
    facts.read(b'{"id":"","model":"","choices":[]}')
    facts.read(b'{"id":"a","model":"m","choices":[{"index":0}]}')
    facts.read(b'{"id":"","model":"","choices":[{"index":0,"finish_reason":null}]}')
    assert facts.read_deltas(b'data: {"id":"","model":"","choices":[{"index":0}]}\n\n')
    assert (facts.summary().id, facts.summary().model) == ("a", "m")


def test_half_a_surrogate_pair_in_a_name_can_be_recorded() -> None:
    summary = facts_of('{"id":"a\\ud83d","model":"m\\ude00","choices":[]}').summary()
    assert (summary.id, summary.model) == ("a?", "m?")


def test_what_is_kept_of_choices_is_bounded() -> None:
    facts = ChatFacts()
    for index in range(1000):
        facts.read(choice(index, '"' + "x" * 10_000 + '"').encode())
    deltas = [f'data: {{"choices":[{{"index":{index}}}]}}\n\n' for index in range(2000, 3000)]
    assert facts.read_deltas("".join(deltas).encode())
    reasons = facts.summary().finish_reasons
    assert len(reasons) == 128
    assert {len(reason or "") for reason in reasons} == {256}
    assert facts.is_complete


def test_several_objects_in_one_event_are_no_deltas() -> None:
    delta = b'{"choices":[{"index":0}]}'
    facts = ChatFacts()
    assert not facts.read_deltas(b"data: %b,%b\n\n" % (delta, delta))
    assert (facts.events, facts.is_complete) == (0, False)
    assert facts.read_deltas(b"data: %b\n\ndata: %b\n\n" % (delta, delta))
    assert facts.events == 2


@given(st.binary(max_size=60))
def test_whatever_is_json_is_read_and_no_bytes_raise(data: bytes) -> None:
    for body in (data, b'{"type":7,"choices":"' + data + b'"}', b'{"type":7,"' + data + b'":{}}'):
        assert read_fields(body) is not None or not is_json(body)


def test_the_last_counts_hold_and_null_does_not_take_them_back() -> None:
    facts = facts_of(
        '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}',
        '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}',
        '{"choices":[],"usage":null}',
        '{"choices":[],"usage":{}}',
    )
    assert facts.usage == Usage(9, 5)


def test_counts_are_found_inside_a_response() -> None:
    response = '{"usage":{"input_tokens":3,"output_tokens":4}}'
    facts = facts_of(f'{{"type":"response.completed","response":{response}}}', dialect="responses")
    assert facts.usage == Usage(3, 4)


@rows(
    ("event", "is_usage_only"),
    [
        ('{"choices":[],"usage":{"prompt_tokens":1}}', True),
        ('{"choices":null,"usage":{"prompt_tokens":1}}', True),
        ('{"usage":{"prompt_tokens":1}}', True),
        ('{"choices":[],"usage":null}', False),
        ('{"choices":[]}', False),
        ('{"choices":[{"index":0}],"usage":{"prompt_tokens":1}}', False),
        ('{"choices":[],"usage":{"prompt_tokens":"many"}}', True),
        ('{"choices":[],"usage":7}', True),
        ('{"choices":[],"usage":{"cost":NaN}}', True),
        ('{"choices":[],"error":{},"usage":{"prompt_tokens":1}}', True),
        ('{"choices":[],"delta":{},"usage":{"prompt_tokens":1}}', False),
        ('{"message":{},"usage":{"prompt_tokens":1}}', False),
        ('{"output":[],"usage":{"prompt_tokens":1}}', False),
        ('{"response":{},"usage":{"prompt_tokens":1}}', False),
        ('{"response":null,"delta":null,"usage":{"prompt_tokens":1}}', True),
        ('{"content":"x","usage":{"prompt_tokens":1}}', False),
        ('{"candidates":[],"usage":{"prompt_tokens":1}}', False),
        ('{"error":{"message":"m"},"usage":{"prompt_tokens":1}}', False),
    ],
)
def test_the_event_that_is_there_for_its_counts_alone_is_told_apart(
    event: str, is_usage_only: bool
) -> None:
    assert (ChatFacts().read(event.encode()) is EventKind.USAGE) is is_usage_only


@rows(
    ("event", "rest"),
    [
        ('{"id":"a","object":"o","created":1,"model":"m","choices":[],"usage":{"x":1}}', ""),
        ('{"choices":[],"usage":{},"citations":null,"extra":[],"more":{}}', ""),
        ('{"choices":[],"usage":{"x":1},"citations":["u"]}', '{"choices":[],"citations":["u"]}'),
        ('{"choices":[],"usage":{"x":NaN},"cost":1e2}', '{"choices":[],"cost":1e2}'),
        ('{"usage":{},\n"x":{"a":1,\n"b":2}}', '{"x":{"a":1, "b":2}}'),
    ],
)
def test_what_comes_with_the_counts_stays(event: str, rest: str) -> None:
    assert without_usage(event.encode()) == rest.encode()


def test_a_member_of_another_type_hides_no_other() -> None:
    fields = read_fields(
        b'{"type":7,"choices":"none","usage":{"prompt_tokens":2},"error":{"code":1}}'
    )
    assert fields is not None
    assert (fields.type, fields.choices) == (None, None)
    assert fields.usage is not None
    assert fields.usage.prompt_tokens == 2
    assert fields.error is not None


@rows("reason", ["null", '""', STOP])
@rows("identity", ['"id":"a"', '"model":"m"', '"id":"a","service_tier":"flex"'])
@rows("usage", ["", ',"usage":{"prompt_tokens":3,"completion_tokens":4}'])
@rows("beside", ["", ',"usage":{"prompt_tokens":1}'])
def test_a_whole_answer_is_summed_up_as_its_parts_would_be(
    reason: str, identity: str, usage: str, beside: str
) -> None:
    choices = f'"choices":[{{"index":0,"finish_reason":{reason}{beside}}}]'
    fields = read_fields(f"{{{identity},{choices}{usage}}}".encode())
    assert fields is not None
    facts = ChatFacts()
    facts.add(fields)

    assert fields.summary(b"kept") == facts.summary(body=b"kept")


@rows(
    ("dialect", "body", "messages"),
    [
        (
            "chat",
            b'{"choices":[{"message":{"role":"assistant","content":"a"}},{"text":"b"},7]}',
            [
                Message("assistant", (Part("text", "a"),)),
                Message("assistant", (Part("text", "b"),)),
            ],
        ),
        (
            "responses",
            b'{"output":[{"type":"reasoning"},{"type":"message","content":[]}]}',
            [Message("assistant", ())],
        ),
        (
            "messages",
            b'{"type":"message","role":"assistant","content":[{"type":"text","text":"a"}]}',
            [Message("assistant", (Part("text", "a"),))],
        ),
        ("messages", b'{"type":"error","error":{}}', []),
        *((dialect, body, []) for dialect in DIALECTS for body in (b"{}", b"[]", b"{", b"\xff")),
    ],
)
def test_the_messages_of_a_response_are_found(
    dialect: str, body: bytes, messages: list[object]
) -> None:
    assert DIALECTS[dialect].read_messages(body) == messages


@pytest.mark.parametrize("start", ['{"id":"a",', '{"id":NaN,'])
def test_a_flood_of_objects_is_passed_without_reading_it(start: str) -> None:
    body = (start + '"choices":[' + "{}," * 2**21 + "{}]}").encode()
    tracemalloc.start()
    read_fields(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(body) + 2**20
