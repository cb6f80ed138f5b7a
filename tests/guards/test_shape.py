"""Answers that must fit a schema: what is judged, in every dialect, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from llm_mesh_middleware._compile.guarding.schemas import compile_schema
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.remote.verdict_findings import VerdictFindings
from llm_mesh_middleware._core.guarding.shape import Fits, SchemaGuard, ShapedStream, judge
from llm_mesh_middleware._core.texts import AnswerContent
from llm_mesh_middleware.exceptions import ContentBlocked, Problem
from tests.config.documents import parse
from tests.config.test_guard_items import guard as item
from tests.core.tables import compiled, provider
from tests.guards.forms import FORMS, event

pytest.importorskip("jsonschema_rs")

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GOOD, BAD = '{"city": "Ulm"}', '{"city": 5}'


DOUBLING = {
    "$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    | {"d60": {"const": 7}},
    "$ref": "#/$defs/d0",
}


def shape(schema: Any = CITY, *, action: str = "deny", **tools: Any) -> SchemaGuard:
    """A guard with schemas as documents have them."""
    (document,) = parse(item("schema: {answer: {}}")).resources
    problems: list[Problem] = []

    def fits(each: Any) -> Fits:
        made = compile_schema(document, each, (), problems)
        assert made is not None, problems
        return made

    return SchemaGuard(
        guard=Guard(
            policy="default/p",
            name="g",
            scanner=VerdictFindings(),
            action=action,  # type: ignore[arg-type]
            sides=frozenset(("response",)),
        ),
        answer=None if schema is None else fits(schema),
        tools={name: fits(each) for name, each in tools.items()},
    )


def findings(guard: SchemaGuard, *said: AnswerContent) -> list[str]:
    told: list[str] = []

    def report(_: Guard, entity: str) -> None:
        told.append(entity)

    judge(guard, iter(said), report)
    return told


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (AnswerContent(GOOD), []),
        (AnswerContent(BAD), ["NOT_IN_SCHEMA"]),
        (AnswerContent("Ulm"), ["NOT_JSON"]),
        (AnswerContent(""), ["NOT_JSON"]),
        (AnswerContent("```json\n" + GOOD + "\n```"), ["NOT_JSON"]),
        (AnswerContent("[" * 5000), ["NOT_JSON"]),
        (AnswerContent(GOOD[:-1]), ["NOT_JSON"]),
        (AnswerContent("", is_refusal=True), []),
        (AnswerContent("", (("f", "{}"),)), []),
        (AnswerContent("", (("send", GOOD),)), []),
        (AnswerContent("", (("send", BAD), ("send", "x"))), ["NOT_IN_SCHEMA"]),
        (AnswerContent("Let me see.", (("send", GOOD),)), ["NOT_JSON"]),
    ],
)
def test_an_answer_is_judged(said: AnswerContent, expected: list[str]) -> None:
    assert findings(shape(action="log", send=CITY), said) == expected


def test_a_refusal_names_the_place_in_the_schema_and_nothing_of_the_answer() -> None:
    with pytest.raises(ContentBlocked) as refused:
        findings(shape(), AnswerContent('{"city": ["secret-1234567"]}'))

    assert "properties/city/type" in refused.value.message
    assert "secret" not in refused.value.message


def schema_line(document: str) -> int:
    """The line of the schema behind the document of a provider."""
    lines = "---\n".join((provider(), document)).splitlines()
    return next(number for number, line in enumerate(lines, 1) if "schema:" in line)


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({"type": "objekt"}, "type", "objekt"),
        ({"properties": {"a": {"minimum": "x"}}}, "properties.a.minimum", "not of type"),
        ({"$ref": "https://schemas.example/x"}, "$ref", "not fetched"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "properties.a.$ref", "not fetched"),
        ({"$ref": "#/$defs/nobody"}, "", "does not exist"),
        ({"$schema": "https://schemas.example/own"}, "", "meta-schema"),
        ({"pattern": "(?=a)b"}, "pattern", "regex"),
        ({"items": {"pattern": "("}}, "items.pattern", "regex"),
        ({"const": "x" * 300_000}, "", "more than 256 KiB"),
        (DOUBLING, "", "references expanded"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error_at_its_place(
    schema: Any, field: str, message: str
) -> None:
    document = item(f"schema: {{answer: {json.dumps(schema)}}}")
    (problem,) = compiled(provider(), document).problems

    place = "spec.guards[0].schema.answer"
    assert problem.field.replace("['$ref']", ".$ref") == (f"{place}.{field}" if field else place)
    assert message in problem.message
    assert problem.severity == "error"
    assert schema_line(document) == problem.line


def test_a_value_that_looks_like_a_reference_is_none() -> None:
    assert (
        findings(shape({"const": {"$ref": "other.json"}}), AnswerContent('{"$ref": "other.json"}'))
        == []
    )


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


HOSTILE = [
    ({"$ref": "#"}, "1", []),
    ({"anyOf": [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}]}, "1", []),
    (
        {
            "anyOf": [
                {"properties": {"a": {"$ref": "#"}}, "required": [name]} for name in ("b", "c", "d")
            ]
        },
        deep(100),
        ["NOT_IN_SCHEMA"],
    ),
    ({"type": "string", "pattern": "^(a+)+$"}, json.dumps("a" * 50_000 + "b"), ["NOT_IN_SCHEMA"]),
    ({"additionalProperties": {"$ref": "#"}}, deep(900), []),
    ({"additionalProperties": {"$ref": "#"}}, deep(100_000), ["NOT_JSON"]),
    ({"uniqueItems": True}, json.dumps([[n] for n in range(20_000)]), []),
]


@pytest.mark.parametrize(("schema", "answer", "expected"), HOSTILE)
def test_hostile_schemas_and_answers_come_to_an_end(
    schema: Any, answer: str, expected: list[str]
) -> None:
    """Each of them would take for ever, or break the process, where every path is followed."""
    assert findings(shape(schema, action="log"), AnswerContent(answer)) == expected


SAID = {
    "anthropic": {
        "type": "message",
        "role": "assistant",
        "stop_reason": "end_turn",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": GOOD}],
    },
    "arguments": {
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "1",
                            "type": "function",
                            "function": {"name": "send", "arguments": GOOD},
                        }
                    ],
                },
            }
        ],
    },
    "chat": {
        "choices": [
            {
                "index": index,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": GOOD},
            }
            for index in range(2)
        ],
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": "Hm.", "thought": True}, {"text": GOOD}],
                },
                "finishReason": "STOP",
            }
        ],
    },
    "responses": {
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "id": "m",
                "status": "completed",
                "content": [{"type": "output_text", "text": GOOD, "annotations": []}],
            },
        ],
    },
}


def shaped(form: str) -> ShapedStream:
    def judged(said: Iterator[AnswerContent]) -> None:
        judge(shape(send=CITY), said, lambda *_: None)

    return ShapedStream(FORMS[form][0], judged)


def passed(form: str, data: bytes, size: int) -> tuple[bytes, bool]:
    """Return what was sent of a stream, and whether it was denied."""
    stream, out = shaped(form), b""
    try:
        for at in range(0, len(data), size):
            out += stream.feed(data[at : at + size])
        return out + stream.finish(), False
    except ContentBlocked:
        return out, True


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("form", SAID)
def test_a_stream_passes_whole_and_byte_for_byte_or_not_at_all(form: str, size: int) -> None:
    good = json.dumps({"id": "x", "model": "m", "created": 1, **SAID[form]}).encode()
    answers = FORMS[form][0].answers
    stream = answers.split(good, include_usage=False)
    assert passed(form, stream, size) == (stream, False)

    bad = good.replace(json.dumps(GOOD)[1:-1].encode(), json.dumps(BAD)[1:-1].encode())
    stream = answers.split(bad, include_usage=False)
    assert passed(form, stream, size) == (b"", True)


@pytest.mark.parametrize("form", SAID)
def test_a_whole_answer_says_what_its_stream_says(form: str) -> None:
    whole = json.dumps({"id": "x", "model": "m", "created": 1, **SAID[form]}).encode()
    answers = FORMS[form][0].answers
    joined = answers.join(answers.split(whole, include_usage=False), None)

    assert joined is not None
    assert list(answers.contents(joined)) == list(answers.contents(whole)) != []


def test_signs_of_life_pass_at_once_and_an_error_takes_the_place_of_the_answer() -> None:
    dialect, make = FORMS["chat"]
    stream = ShapedStream(dialect, lambda said: None)
    error = event({"error": {"message": "overloaded", "type": "server_error"}})

    assert stream.feed(make(["a"])[0]) == b""
    assert stream.feed(b": wait\n\n") == b": wait\n\n"
    assert stream.feed(error) == error
    assert stream.finish() == b""


def test_a_stream_that_nobody_can_read_is_denied() -> None:
    dialect, make = FORMS["chat"]
    stream = ShapedStream(dialect, lambda said: None)
    stream.feed(make(["a"])[0])

    with pytest.raises(ContentBlocked):
        stream.finish()
