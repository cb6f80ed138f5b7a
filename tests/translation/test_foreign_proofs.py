"""Proofs of one provider in requests that pass to another, which speaks the client's dialect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from llm_mesh_middleware._core.values.payload import Fields, decode_fields, encode_fields
from llm_mesh_middleware._dialects import anthropic, gemini, openai_chat, openai_responses
from llm_mesh_middleware.testing import Answer
from tests.translation.chat_shapes import completion
from tests.translation.dialect_table import PROVIDERS
from tests.translation.messages_shapes import message, text
from tests.translation.test_others_to_responses import response, said
from tests.translation.test_several_backends import RESPONSES, site

SEALED = "llm-mesh.Z2MybG5ibVZr"
IN_BASE64 = base64.b64encode(b"llm-mesh.YXNpZw==").decode()  # of Anthropic
STAND_IN = base64.b64encode(b"skip_thought_signature_validator").decode()
CALLS = [("call_1", "look", {"at": "it"})]
BUSY = Answer(503, body={"error": {"message": "busy"}})
TOOL = {"type": "object", "properties": {"at": {"type": "string"}}}


def cleaned(dialect: Any, body: dict[str, Any]) -> Any:
    fields: Fields = dialect.without_foreign_proofs(decode_fields(json.dumps(body).encode()))
    return json.loads(encode_fields(fields))


THINKING = {"type": "thinking", "thinking": "hm", "signature": SEALED}
OWN = {"type": "thinking", "thinking": "hm", "signature": "sig"}
REDACTED = {"type": "redacted_thinking", "data": SEALED}
WORDS = {"type": "text", "text": f"What is {SEALED}?"}
GOOGLE = {"google": {"thought_signature": SEALED}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"functionCall": {"name": "f", "args": {}}}

CASES: list[tuple[Any, str, list[Any], list[Any]]] = [
    (
        anthropic.DIALECT,
        "messages",
        [
            {"role": "assistant", "content": [THINKING, REDACTED, OWN, WORDS]},
            {"role": "assistant", "content": [THINKING]},
            {"role": "user", "content": SEALED},
        ],
        [{"role": "assistant", "content": [OWN, WORDS]}, {"role": "user", "content": SEALED}],
    ),
    (
        openai_responses.DIALECT,
        "input",
        [
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": SEALED},
            {"type": "reasoning", "id": "o", "summary": [], "encrypted_content": "gAAA"},
            {"role": "user", "content": SEALED},
        ],
        [
            {"type": "reasoning", "id": "o", "summary": [], "encrypted_content": "gAAA"},
            {"role": "user", "content": SEALED},
        ],
    ),
    (
        openai_chat.DIALECT,
        "messages",
        [
            {
                "role": "assistant",
                "content": None,
                "thinking_blocks": [THINKING],
                "tool_calls": [CALL | {"extra_content": GOOGLE}],
            },
            {"role": "assistant", "content": SEALED, "thinking_blocks": [THINKING, OWN]},
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "assistant", "content": SEALED, "thinking_blocks": [OWN]},
        ],
    ),
    (
        gemini.DIALECT,
        "contents",
        [
            {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True, "thoughtSignature": IN_BASE64},
                    {"text": "Hi", "thought_signature": IN_BASE64},
                    FUNCTION | {"thoughtSignature": IN_BASE64},
                    FUNCTION | {"thoughtSignature": "c2ln"},
                ],
            },
            {"role": "user", "parts": [{"text": IN_BASE64}]},
        ],
        [
            {
                "role": "model",
                "parts": [
                    {"text": "Hi"},
                    FUNCTION | {"thoughtSignature": STAND_IN},
                    FUNCTION | {"thoughtSignature": "c2ln"},
                ],
            },
            {"role": "user", "parts": [{"text": IN_BASE64}]},
        ],
    ),
]


@pytest.mark.parametrize(("dialect", "member", "given", "kept"), CASES)
def test_only_what_another_provider_has_proved_is_left_out(
    dialect: Any, member: str, given: list[Any], kept: list[Any]
) -> None:
    assert cleaned(dialect, {member: given, "model": "m"}) == {member: kept, "model": "m"}


@pytest.mark.parametrize("dialect", [case[0] for case in CASES])
@pytest.mark.parametrize("text", [SEALED, IN_BASE64])
def test_what_is_no_list_of_objects_is_left_as_it_is(dialect: Any, text: str) -> None:
    for value in (text, [text], {"a": text}, [[text]]):
        body = {"messages": value, "input": value, "contents": value}
        assert cleaned(dialect, body) == body


def test_the_bytes_of_other_items_are_kept() -> None:
    own = b'{"role":"user",  "content": [{"type":"text","text":"1.0\\u00e9"}]}'
    foreign = json.dumps({"role": "assistant", "content": [THINKING]}).encode()
    fields = decode_fields(b'{"messages":[%b,%b]}' % (own, foreign))
    kept = anthropic.DIALECT.without_foreign_proofs(fields)
    assert bytes(kept["messages"]) == b"[%b]" % own


@pytest.mark.parametrize("first", ["gemini", "bedrock", "chat"])
def test_a_conversation_goes_on_at_claude_when_another_dialect_fails(first: str) -> None:
    tools: Any = [{"name": "look", "input_schema": TOOL}]
    ask: Any = {"model": "m", "max_tokens": 99, "tools": tools}
    asked: list[Any] = [{"role": "user", "content": "Look"}]
    with site(PROVIDERS[first].config, PROVIDERS["messages"].config) as made:
        made.upstreams[0].script(PROVIDERS[first].plays("hm", "Let me.", CALLS))
        with made.anthropic.messages.stream(**ask, messages=asked) as stream:
            answer = stream.get_final_message()
        (use,) = (block for block in answer.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "seen"}
        asked += [
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": [result]},
        ]
        made.upstreams[0].always(BUSY)
        made.upstreams[1].always(Answer(body=message(text("Seen."))))
        assert made.anthropic.messages.create(**ask, messages=asked).content[0].type == "text"
        (sent,) = made.upstreams[1].requests
        PROVIDERS["messages"].judge(sent)
        assert [block["type"] for block in sent.json()["messages"][1]["content"]] == [
            "text",
            "tool_use",
        ]


def test_a_conversation_goes_on_at_openai_when_claude_fails() -> None:
    ask: Any = {"model": "m", "store": False}
    asked: list[Any] = [{"role": "user", "content": "Look"}]
    with site(PROVIDERS["messages"].config, RESPONSES) as made:
        made.upstreams[0].script(PROVIDERS["messages"].plays("hm", "Let me.", ()))
        with made.openai.responses.stream(**ask, input=asked) as stream:
            answer = stream.get_final_response()
        assert answer.output[0].type == "reasoning"
        made.upstreams[0].always(BUSY)
        made.upstreams[1].always(Answer(body=response(said("Seen."))))
        asked += [item.model_dump(exclude_none=True) for item in answer.output]
        made.openai.responses.create(**ask, input=[*asked, {"role": "user", "content": "And?"}])
        (sent,) = made.upstreams[1].requests
        assert [item.get("type") for item in sent.json()["input"]] == [None, "message", None]


def test_a_chat_goes_on_at_openai_when_claude_fails() -> None:
    """The SDK sends back all that it has got, also what OpenAI does not know."""
    asked: list[Any] = [{"role": "user", "content": "Look"}]
    thoughts = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    with site(PROVIDERS["gemini"].config, PROVIDERS["chat"].config) as made:
        made.upstreams[0].script(PROVIDERS["gemini"].plays("hm", "Let me.", CALLS))
        answer = made.openai.chat.completions.create(model="m", messages=asked)
        assert "thought_signature" in answer.model_dump_json()
        result = {"role": "tool", "tool_call_id": answer.choices[0].message.tool_calls[0].id}  # type: ignore[index]
        made.upstreams[0].always(BUSY)
        made.upstreams[1].always(
            Answer(body=completion({"role": "assistant", "content": "x"}, "stop"))
        )
        asked += [answer.choices[0].message, {**result, "content": "seen"}]
        made.openai.chat.completions.create(model="m", messages=asked)
        (sent,) = made.upstreams[1].requests
        assert "llm-mesh." not in sent.body.decode()
        assert thoughts not in asked
