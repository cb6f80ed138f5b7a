"""Tools in namespaces of the Responses API, which other dialects offer by one name."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from llm_mesh_middleware._dialects.openai_responses.translation.namespaces import full_name
from llm_mesh_middleware.testing import Answer, chat_completion
from tests.clouds.bench import HOST, Bench, bench
from tests.rows import rows

FIND: Any = {"type": "function", "name": "find", "parameters": {"type": "object"}}
PATCH: Any = {"type": "custom", "name": "patch", "description": "Edits."}
CRM: Any = {"type": "namespace", "name": "crm", "description": "Customers.", "tools": [FIND, PATCH]}
OTHER: Any = {"type": "function", "name": "find", "parameters": {"type": "object"}}
CONFIG = {"openAIConfig": {"model": "m", "apis": ["chat"]}}


@rows(
    "namespace, name, full",
    [
        (None, "find", "find"),
        ("", "find", "find"),
        ("crm", "find", "crm__find"),
        ("mcp__crm__", "find", "mcp__crm__find"),
    ],
)
def test_a_name_is_made_of_both(namespace: str | None, name: str, full: str) -> None:
    assert full_name(namespace, name) == full


@rows("namespace, name", [("crm", "f" * 64), ("c" * 128, "find"), ("a.b", "find"), ("ü", "ß")])
def test_a_name_that_not_every_dialect_takes_is_shortened(namespace: str, name: str) -> None:
    full = full_name(namespace, name)
    assert full == full_name(namespace, name)
    assert len(full) <= 64
    assert full.isascii()
    assert "." not in full
    assert full != full_name(namespace, name + "x")


def gpt(made: Bench) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )


def called(*names: str) -> Answer:
    calls = [
        {
            "id": f"call_{name}",
            "type": "function",
            "function": {"name": name, "arguments": '{"input":"x"}'},
        }
        for name in names
    ]
    completion = chat_completion("")
    completion["choices"][0]["message"] |= {"content": None, "tool_calls": calls}
    return Answer(body=completion)


def test_calls_of_one_name_are_told_apart_by_namespace() -> None:
    with bench(CONFIG) as made:
        made.answer(called("find", "crm__find", "crm__patch"))
        told = gpt(made).responses.create(model="m", input="Hi", tools=[OTHER, CRM], store=False)
        names = [tool["function"]["name"] for tool in made.asked.json()["tools"]]
    assert names == ["find", "crm__find", "crm__patch"]
    calls: list[Any] = list(told.output)
    assert [(call.type, call.namespace, call.name) for call in calls] == [
        ("function_call", None, "find"),
        ("function_call", "crm", "find"),
        ("custom_tool_call", "crm", "patch"),
    ]
    assert json.loads(json.dumps(calls[2].input)) == "x"


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        ({"type": "namespace", "name": "crm"}, ["crm__find", "crm__patch"]),
        ({"type": "function", "name": "find"}, ["find"]),
    ],
)
def test_allowed_tools_may_be_a_namespace(allowed: dict[str, str], offered: list[str]) -> None:
    choice: Any = {"type": "allowed_tools", "mode": "auto", "tools": [allowed]}
    with bench(CONFIG) as made:
        made.answer(Answer(body=chat_completion("Hi")))
        gpt(made).responses.create(
            model="m", input="Hi", tools=[OTHER, CRM], tool_choice=choice, store=False
        )
        tools = made.asked.json()["tools"]
    assert [tool["function"]["name"] for tool in tools] == offered
