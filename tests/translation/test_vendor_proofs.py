"""Members that vendors add to chat completions come back through clients of other dialects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware._core.conversation.parts import Part, Proof, Reasoning, Text, ToolCall
from llm_mesh_middleware._core.conversation.request import Conversation, Turn
from llm_mesh_middleware._core.conversation.writing import DialectOptions, Stamp
from llm_mesh_middleware._dialects.translation.whole import Accumulator
from llm_mesh_middleware.testing import Answer, Stream
from tests.clouds.bench import HOST, Bench, bench
from tests.rows import rows
from tests.translation.chat_shapes import DONE, call, chunk, completion
from tests.translation.dialect_table import DIALECTS, PROVIDERS
from tests.translation.messages_shapes import message, text
from tests.translation.test_foreign_proofs import BUSY
from tests.translation.test_several_backends import site
from tests.translation.worlds import events

CHAT = DIALECTS["chat"].side
STAMP = Stamp(1, "token", "m", HOST)

Json = dict[str, Any]

CLAUDE = {"format": "anthropic-claude-v1", "index": 0}
SIGNED = {"type": "reasoning.text", "text": "I should look.", "signature": "sig", **CLAUDE}
SEALED = {
    "type": "reasoning.encrypted",
    "data": "c2Vj",
    "format": "anthropic-claude-v1",
    "index": 1,
}
GPT = {"format": "openai-responses-v1", "index": 0}
SUMMARY = {"type": "reasoning.summary", "summary": "Looking", **GPT}
PROVED = {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", **GPT}
GEMINI = {"format": "google-gemini-v1", "index": 0}
THOUGHT = {"type": "reasoning.text", "text": "Look?", **GEMINI}
OF_CALL = {"type": "reasoning.encrypted", "data": "CiQB", "id": "call_1", **GEMINI}
EXTRA = {"google": {"thought_signature": "EjQK"}}
CALL = call("call_1", "look", '{"at":"it"}')


def sent(parts: tuple[Part, ...], host: str = HOST) -> Json:
    """The assistant's message in a request to a provider."""
    asked = Conversation(dialect="x", turns=(Turn("assistant", parts),))
    written = CHAT.write_request(asked, DialectOptions(host=host), model="m", streams=False)
    return dict(json.loads(json.dumps(written.members, default=_plain))["messages"][0])


def _plain(value: Any) -> Any:
    import msgspec

    return json.loads(msgspec.json.encode(value))


def streamed(*deltas: Json) -> tuple[Part, ...]:
    """The parts of a stream; all cuts of it have the same."""
    body = b"".join(events(*map(chunk, deltas), chunk({}, "stop"), DONE))
    whole, cut = CHAT.event_reader(STAMP), CHAT.event_reader(STAMP)
    collected, pieces = Accumulator(), Accumulator()
    collected.add([*whole.feed(body), *whole.finish()])
    for at in range(len(body)):
        pieces.add(cut.feed(body[at : at + 1]))
    assert pieces.answer == collected.answer
    return collected.answer.parts


def told(*details: Json, **members: Any) -> tuple[Part, ...]:
    """The parts of a whole answer."""
    given = {"role": "assistant", "content": "Hm", "reasoning_details": details, **members}
    body = json.dumps(completion(given, "stop")).encode()
    return tuple(CHAT.read_answer(body, STAMP).parts)


WHOLE: list[tuple[list[Json], list[Json] | None]] = [
    ([SIGNED], [SIGNED]),
    ([SIGNED, SEALED], [SIGNED, SEALED]),
    ([SUMMARY, PROVED], [SUMMARY, PROVED]),
    ([THOUGHT, OF_CALL], [OF_CALL]),  # of a thought without a signature nothing is known
    ([THOUGHT], None),
    ([{"type": "reasoning.server_tool_call", "tool_name": "x"}], None),
    ([{"text": "a"}], None),
]


@rows("given, returned", WHOLE)
def test_the_details_of_an_answer_come_back_as_they_were(
    given: list[Json], returned: list[Json] | None
) -> None:
    for parts in (told(*given), streamed(*({"reasoning_details": [one]} for one in given))):
        assert sent(parts).get("reasoning_details") == returned
        said = "".join(one.get("text") or one.get("summary") or "" for one in given)
        assert "".join(p.text for p in parts if isinstance(p, Reasoning)) == said


def pieces(*details: Json, **members: Any) -> Json:
    return {"reasoning_details": list(details), **members}


TEXT = {"type": "reasoning.text"}
PIECES: list[tuple[list[Json], list[Json]]] = [
    (
        [
            pieces(TEXT | CLAUDE | {"text": "I should "}, reasoning="I should "),
            pieces(TEXT | CLAUDE | {"text": "look."}, reasoning="look."),
            pieces(TEXT | CLAUDE | {"signature": "sig"}),
            {"content": "Hm"},
        ],
        [SIGNED],
    ),
    (  # two blocks of one type
        [
            pieces(SIGNED),
            pieces(SIGNED | {"index": 1, "text": "a", "signature": None}),
            pieces(TEXT | CLAUDE | {"index": 1, "text": "b", "signature": "two"}),
        ],
        [SIGNED, SIGNED | {"index": 1, "text": "ab", "signature": "two"}],
    ),
    (
        [
            pieces(SUMMARY | {"summary": "Look"}),
            pieces(SUMMARY | {"summary": "ing"}),
            pieces(SUMMARY | {"summary": "Next", "index": 1}),
            pieces(PROVED),
            {"tool_calls": [{"index": 0, **CALL}]},
        ],
        [SUMMARY, SUMMARY | {"summary": "Next", "index": 1}, PROVED],
    ),
    (  # with the call, and after it
        [pieces(OF_CALL, tool_calls=[{"index": 0, **CALL}]), pieces(SEALED)],
        [OF_CALL, SEALED],
    ),
    (  # the signature comes when the answer has begun
        [
            pieces(SIGNED | {"signature": None}),
            {"content": "Hm"},
            pieces(TEXT | CLAUDE | {"signature": "sig"}),
        ],
        [SIGNED],
    ),
]


@rows("given, returned", PIECES)
def test_pieces_of_details_are_one_as_the_vendor_joins_them(
    given: list[Json], returned: list[Json]
) -> None:
    assert sent(streamed(*given))["reasoning_details"] == returned


def test_texts_that_only_another_member_has_are_shown() -> None:
    parts = streamed(pieces(PROVED, reasoning="Looking"), {"content": "Hm"})
    assert isinstance(parts[0], Reasoning)
    assert parts[0].text == "Looking"
    assert sent(parts)["reasoning_details"] == [PROVED]


def test_thoughts_are_before_what_they_led_to() -> None:
    parts = streamed(pieces(SIGNED), {"content": "Hm"}, {"tool_calls": [{"index": 0, **CALL}]})
    assert [type(part) for part in parts] == [Reasoning, Text, ToolCall]


@rows("extra", [EXTRA, {"vertex": {"thought_signature": "AY89"}}])
def test_the_signature_of_a_call_comes_back_in_its_member(extra: Json) -> None:
    given = [CALL | {"extra_content": extra}, CALL | {"id": "call_2"}]
    numbered = [{"index": index, **one} for index, one in enumerate(given)]
    for parts in (told(tool_calls=given), streamed({"tool_calls": numbered})):
        assert sent(parts)["tool_calls"] == given


@rows("extra", [None, {}, [], "thought_signature", {"google": {"thought": True}}])
def test_other_additions_to_a_call_are_left_out(extra: Any) -> None:
    assert sent(told(tool_calls=[CALL | {"extra_content": extra}]))["tool_calls"] == [CALL]


def test_only_the_provider_that_gave_a_proof_gets_it_back() -> None:
    parts = told(SIGNED, PROVED, tool_calls=[CALL | {"extra_content": EXTRA}])
    for host in ("other.example", ""):
        message = sent(parts, host)
        assert "reasoning_details" not in message
        assert message["tool_calls"] == [CALL]


def test_without_a_provider_nothing_is_proved() -> None:
    given = {"role": "assistant", "content": "Hm", "reasoning_details": [SIGNED]}
    body = json.dumps(completion(given, "stop")).encode()
    (thought, _) = CHAT.read_answer(body, Stamp(1, "token")).parts
    assert thought == Reasoning("I should look.", None)


@rows("value", ["", HOST, f"{HOST}\n", f"{HOST}\n[]", f'{HOST}\n{{"a":', f"{HOST}\n" + "[" * 9999])
def test_what_no_provider_has_made_is_not_sent(value: str) -> None:
    forged = (Reasoning("a", Proof("d", value)), ToolCall("a", "f", "{}", proof=Proof("e", value)))
    message = sent(forged)
    assert "reasoning_details" not in message
    assert "extra_content" not in message["tool_calls"][0]


Ask = Callable[[Bench, bool], Iterator[None]]


def _messages(made: Bench, streams: bool) -> Iterator[None]:
    sdk = anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    )
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    ask: Any = {"model": "m", "max_tokens": 99}
    if streams:
        with sdk.messages.stream(**ask, messages=asked) as stream:
            got = stream.get_final_message()
    else:
        got = sdk.messages.create(**ask, messages=asked)
    yield
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "seen"}
    asked += [{"role": "assistant", "content": got.content}, {"role": "user", "content": [result]}]
    sdk.messages.create(**ask, messages=asked)


def _responses(made: Bench, streams: bool) -> Iterator[None]:
    sdk = openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )
    ask: Any = {"model": "m", "store": False, "include": ["reasoning.encrypted_content"]}
    if streams:
        with sdk.responses.stream(**ask, input="Hi") as stream:
            got: Any = stream.get_final_response()
    else:
        got = sdk.responses.create(**ask, input="Hi")
    yield
    given = [
        item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in got.output
    ]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
    sdk.responses.create(**ask, input=[{"role": "user", "content": "Hi"}, *given, result])


def _gemini(made: Bench, streams: bool) -> Iterator[None]:
    with httpx.Client(transport=MeshTransport(made.mesh)) as http:
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        chat = genai.Client(api_key="none", http_options=options).chats.create(model="m")
        if streams:
            list(chat.send_message_stream("Hi"))
        else:
            chat.send_message("Hi")
        yield
        response = {"output": "seen"}
        chat.send_message(types.Part.from_function_response(name="look", response=response))


ASKS: dict[str, Ask] = {"messages": _messages, "responses": _responses, "gemini": _gemini}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("client", ASKS)
def test_sdks_of_other_dialects_bring_them_back(client: str, streams: bool) -> None:
    made_call = CALL | {"extra_content": EXTRA}
    given = {"role": "assistant", "content": "Hm", "reasoning_details": [SIGNED, PROVED]}
    with bench(PROVIDERS["chat"].config) as made:
        deltas = [
            *({"reasoning_details": [one]} for one in (SIGNED, PROVED)),
            {"content": "Hm"},
            {"tool_calls": [{"index": 0, **made_call}]},
        ]
        played = Stream(events(*map(chunk, deltas), chunk({}, "tool_calls"), DONE))
        whole = Answer(body=completion(given | {"tool_calls": [made_call]}, "tool_calls"))
        made.answer(played if streams else whole)
        turns = ASKS[client](made, streams)
        next(turns)
        made.answer(Answer(body=completion({"role": "assistant", "content": "Seen"}, "stop")))
        next(turns, None)
        (back,) = (m for m in made.asked.json()["messages"] if m["role"] == "assistant")
        assert back["reasoning_details"] == [SIGNED, PROVED]
        assert [one["extra_content"] for one in back["tool_calls"]] == [EXTRA]
        assert back["content"] == "Hm"


def test_another_provider_of_the_dialect_is_not_sent_them() -> None:
    """OpenAI refuses members of messages that it does not know."""
    config, ask = PROVIDERS["chat"].config, {"model": "m", "max_tokens": 99}
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    given = {"role": "assistant", "content": "Hm", "reasoning_details": [SIGNED, PROVED]}
    with site(config, config) as made:
        made.upstreams[0].script(Answer(body=completion(given, "stop")))
        got = made.anthropic.messages.create(**ask, messages=asked)  # type: ignore[call-overload]
        made.upstreams[0].always(BUSY)
        made.upstreams[1].always(
            Answer(body=completion({"role": "assistant", "content": "x"}, "stop"))
        )
        asked += [
            {"role": "assistant", "content": got.content},
            {"role": "user", "content": "And?"},
        ]
        made.anthropic.messages.create(**ask, messages=asked)  # type: ignore[call-overload]
        PROVIDERS["chat"].judge(made.upstreams[1].requests[0])


def test_another_dialect_is_not_sent_them() -> None:
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    given = {"role": "assistant", "content": "Hm", "reasoning_details": [SIGNED]}
    with site(PROVIDERS["chat"].config, PROVIDERS["messages"].config) as made:
        made.upstreams[0].script(Answer(body=completion(given, "stop")))
        got = made.anthropic.messages.create(model="m", max_tokens=99, messages=asked)
        made.upstreams[0].always(BUSY)
        made.upstreams[1].always(Answer(body=message(text("x"))))
        asked += [
            {"role": "assistant", "content": got.content},
            {"role": "user", "content": "And?"},
        ]
        made.anthropic.messages.create(model="m", max_tokens=99, messages=asked)
        said = made.upstreams[1].requests[0].json()["messages"][1]["content"]
        assert [block["type"] for block in said] == ["text"]
