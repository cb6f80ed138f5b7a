"""Where texts are: whatever a model reads or writes is checked, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.scanner import Scanner
from llm_mesh_middleware._core.guarding.window import Inspection
from llm_mesh_middleware._core.policy.guards.bodies import (
    guarded_request,
    guarded_response,
    is_clear_request,
    is_clear_response,
)
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._dialects.anthropic.dialect import DIALECT as ANTHROPIC
from llm_mesh_middleware._dialects.gemini.dialect import DIALECT as GEMINI
from llm_mesh_middleware._dialects.openai_chat.dialect import DIALECT as CHAT
from llm_mesh_middleware._dialects.openai_responses.dialect import DIALECT as RESPONSES
from tests.rows import rows

MAIL, CARD = "anna@example.com", 4111111111111111
GUARD = Guard(
    policy="default/p",
    name="g",
    scanner=Scanner.of_entities(("EMAIL", "CREDIT_CARD")),
    action="mask",
    sides=frozenset(("request", "response")),
)
INSPECTION = Inspection([GUARD], lambda *_: None, lambda _, entity, value: f"[{entity}]")


def tool_use(arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "t", "name": "send", "input": arguments}


def turn(part: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [part]}]}


def returned(result: Any) -> dict[str, Any]:
    return turn({"functionResponse": {"name": "f", "response": result}})


def used(arguments: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": [tool_use(arguments)]}]}


def tool(**schema: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"x": schema}}
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}


def called(arguments: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": json.dumps(arguments)}
    return {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": function}]}]}


def document(**source: Any) -> dict[str, Any]:
    part = {"type": "document", "source": {"type": "text", **source}}
    return {"messages": [{"role": "user", "content": [part]}]}


def output(value: Any) -> dict[str, Any]:
    return {"input": [{"type": "function_call_output", "call_id": "c", "output": value}]}


REQUESTS: list[tuple[Dialect, dict[str, Any]]] = [
    *((ANTHROPIC, used(each)) for each in ({"to": MAIL}, {"id": MAIL}, {MAIL: 1}, [MAIL])),
    *((ANTHROPIC, used(each)) for each in ({"n": CARD}, {"n": [CARD]}, {"a": {"b": {MAIL: {}}}})),
    (ANTHROPIC, document(media_type="text/plain", data=MAIL)),
    (ANTHROPIC, {"system": [{"type": "text", "text": MAIL}]}),
    *((GEMINI, returned(each)) for each in ({"to": MAIL}, {"id": MAIL}, {MAIL: 1}, {"n": CARD})),
    (GEMINI, returned({"content": [{"type": MAIL}]})),
    (GEMINI, turn({"functionCall": {"name": "f", "args": {"status": MAIL}}})),
    *((CHAT, called(each)) for each in ({"id": MAIL}, {MAIL: 1}, {"n": CARD})),
    *((CHAT, tool(**each)) for each in ({"description": MAIL}, {"enum": [MAIL]})),
    (CHAT, {"messages": [{"role": "user", "name": MAIL, "content": "x"}]}),
    (CHAT, {"prediction": {"type": "content", "content": MAIL}, "messages": []}),
    (RESPONSES, output(MAIL)),
    (RESPONSES, output([{"type": "input_text", "text": MAIL}])),
    (RESPONSES, {"prompt": {"id": "p", "variables": {"id": MAIL}}, "input": "x"}),
    (RESPONSES, {"input": [{"type": "local_shell_call", "action": {"env": {"id": MAIL}}}]}),
]


@rows("number", range(len(REQUESTS)))
def test_every_text_of_a_request_is_checked(number: int) -> None:
    dialect, members = REQUESTS[number]
    body = json.dumps(members).encode()
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    request = ClientRequest("POST", "/", Headers([]), body, {}, fields=fields)
    left = guarded_request(request, dialect, INSPECTION).body

    assert not is_clear_request(request, dialect, [GUARD])
    assert MAIL.encode() not in left
    assert str(CARD).encode() not in left
    assert b"[EMAIL]" in left or b"[CREDIT_CARD]" in left


DIGITS = f"{CARD}AAAA"
URL = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DIGITS}"}}
DRAWN = {"type": "image_generation_call", "id": "i", "result": DIGITS}
PIXELS = {"inlineData": {"mimeType": "image/png", "data": DIGITS}}
MEDIA: list[tuple[Dialect, dict[str, Any]]] = [
    (CHAT, {"choices": [{"message": {"role": "assistant", "content": "a", "images": [URL]}}]}),
    (RESPONSES, {"output": [DRAWN]}),
    (RESPONSES, {"output": [DRAWN], "partial_image_b64": DIGITS}),
    (GEMINI, {"candidates": [{"content": {"parts": [PIXELS]}}]}),
]


@rows("dialect, body", MEDIA)
def test_an_image_is_no_text(dialect: Dialect, body: dict[str, Any]) -> None:
    """Digits of base64 can be those of a card; masked, nothing of the image would be left."""
    given = json.dumps(body).encode()
    assert is_clear_response(given, dialect, [GUARD])
    assert guarded_response(given, dialect, INSPECTION) == given


CALLS = [
    (ANTHROPIC, {"content": [tool_use({MAIL: CARD, "id": [MAIL]})]}),
    (GEMINI, {"candidates": [{"content": {"parts": [{"functionCall": {"args": {MAIL: CARD}}}]}}]}),
    (CHAT, {"choices": [{"message": called({MAIL: CARD})["messages"][0]}]}),
]


@rows("number", range(len(CALLS)))
def test_the_arguments_of_a_call_are_checked(number: int) -> None:
    dialect, value = CALLS[number]
    body = json.dumps(value).encode()
    left = guarded_response(body, dialect, INSPECTION)

    assert not is_clear_response(body, dialect, [GUARD])
    assert MAIL.encode() not in left
    assert str(CARD).encode() not in left


def test_a_masked_name_keeps_its_place_and_replaces_no_other_one() -> None:
    arguments = {"a": 1, MAIL: "x", "ben@example.com": MAIL, "[EMAIL]": 7, "n": 123}
    body = json.dumps({"content": [tool_use(arguments)]}).encode()
    left = json.loads(guarded_response(body, ANTHROPIC, INSPECTION))["content"][0]["input"]

    assert list(left.items()) == [
        ("a", 1),
        ("[EMAIL]_", "x"),
        ("[EMAIL]__", "[EMAIL]"),
        ("[EMAIL]", 7),
        ("n", 123),
    ]


def test_names_and_amounts_of_schemas_and_arguments_are_no_texts() -> None:
    schema = {"type": "object", "properties": {"max-size": {"maximum": 99999}}, "$ref": "#/a.b"}
    found = CHAT.texts.read_request({"tools": [{"parameters": schema}]}, None)

    assert sorted(place.text for place in found) == ["#/a.b", "object"]
