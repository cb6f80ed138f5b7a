"""How far a stream is, what it reports, and what it fails with, read on the side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.values.payload import is_json
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects.progress import StreamProgress, read_answer


def progress_of(*events: str | bytes) -> StreamProgress:
    progress = StreamProgress()
    for event in events:
        assert progress.see(event if isinstance(event, bytes) else event.encode()) is not None
    return progress


def choice(index: int = 0, reason: str = "null") -> str:
    return f'{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":{reason}}}]}}'


STOP = '"stop"'


@pytest.mark.parametrize(
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
        (['{"type":"response.created","response":{}}'], False),
        (['{"type":"response.completed","response":{}}'], True),
        (['{"type":"response.incomplete","response":{}}'], True),
        (['{"type":"response.failed","response":{}}'], True),
        (['{"type":"message_stop"}'], True),
        (['{"error":{"message":"m"}}'], True),
        (['{"error":null}'], False),
        (['{"type":"error","message":"m"}'], True),
    ],
)
def test_a_stream_is_complete_when_it_says_so_or_every_choice_is(
    events: list[str], is_complete: bool
) -> None:
    assert progress_of(*events).is_complete is is_complete


@pytest.mark.parametrize(
    "event",
    [
        '{"error":{"message":"m"}}',
        '{"error":"overloaded"}',
        '{"error":{"message":"m"},"choices":[{"index":0,"finish_reason":"error"}]}',
        '{"type":"error","code":"x","message":"m","param":null}',
        '{"type":"response.failed","response":{"error":{"message":"m"}}}',
        '{"error":{"message":"m"},"choices":{},"usage":[],"type":7}',
    ],
)
def test_a_failure_that_the_provider_tells_of_is_seen(event: str) -> None:
    progress = progress_of(event)
    assert progress.has_failed
    assert progress.is_done


@pytest.mark.parametrize(
    "data", [b"{", b"", b"ping", b'{"a":}', b"[DONE", b"{}{}", b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_neither_json_nor_done_is_told_apart(data: bytes) -> None:
    assert StreamProgress().see(data) is None
    assert read_answer(data) is None


@given(st.binary(max_size=60))
def test_whatever_is_json_is_read_and_no_bytes_raise(data: bytes) -> None:
    for body in (data, b'{"type":7,"choices":"' + data + b'"}', b'{"type":7,"' + data + b'":{}}'):
        assert (read_answer(body) is not None) is is_json(body)


def test_the_last_counts_hold_and_null_does_not_take_them_back() -> None:
    progress = progress_of(
        '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}',
        '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}',
        '{"choices":[],"usage":null}',
        '{"choices":[],"usage":{}}',
    )
    assert progress.usage == Usage(9, 5)


def test_counts_are_found_inside_a_response() -> None:
    response = '{"usage":{"input_tokens":3,"output_tokens":4}}'
    progress = progress_of(f'{{"type":"response.completed","response":{response}}}')
    assert progress.usage == Usage(3, 4)


@pytest.mark.parametrize(
    ("event", "is_usage_only"),
    [
        ('{"choices":[],"usage":{"prompt_tokens":1}}', True),
        ('{"choices":null,"usage":{"prompt_tokens":1}}', True),
        ('{"usage":{"prompt_tokens":1}}', True),
        ('{"choices":[],"usage":null}', False),
        ('{"choices":[]}', False),
        ('{"choices":[{"index":0}],"usage":{"prompt_tokens":1}}', False),
        ('{"type":"message_delta","usage":{"output_tokens":1}}', False),
        ('{"error":{},"usage":{"prompt_tokens":1}}', False),
    ],
)
def test_the_event_that_is_there_for_its_counts_alone_is_told_apart(
    event: str, is_usage_only: bool
) -> None:
    fields = read_answer(event.encode())
    assert fields is not None
    assert fields.is_usage_only is is_usage_only


def test_a_member_of_another_type_hides_no_other() -> None:
    fields = read_answer(
        b'{"type":7,"choices":"none","response":[],"usage":{"prompt_tokens":2},"error":{"code":1}}'
    )
    assert fields is not None
    assert (fields.type, fields.choices, fields.response) == (None, None, None)
    assert fields.usage is not None
    assert fields.usage.prompt_tokens == 2
    assert fields.error is not None


@pytest.mark.parametrize("reason", ["null", '""', STOP])
@pytest.mark.parametrize("identity", ['"id":"a"', '"model":"m"', '"id":"a","service_tier":"flex"'])
@pytest.mark.parametrize("usage", ["", ',"usage":{"prompt_tokens":3,"completion_tokens":4}'])
@pytest.mark.parametrize("beside", ["", ',"usage":{"prompt_tokens":1}'])
def test_a_whole_answer_is_summed_up_as_its_parts_would_be(
    reason: str, identity: str, usage: str, beside: str
) -> None:
    choices = f'"choices":[{{"index":0,"finish_reason":{reason}{beside}}}]'
    fields = read_answer(f"{{{identity},{choices}{usage}}}".encode())
    assert fields is not None
    progress = StreamProgress()
    progress.add(fields)

    assert fields.summary(b"kept") == progress.summary(events=0, body=b"kept")
