"""Claude Code's traffic, in the shapes that it has on the wire, on a model of every dialect."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest

from llm_mesh_middleware.testing import Answer
from tests.agents.models import MODELS, Model
from tests.clouds.bench import HOST, Bench, bench

FOREIGN = [name for name in MODELS if name != "anthropic"]
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
BETAS = [
    "claude-code-20250219",
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "prompt-caching-scope-2026-01-05",
]
QUERY = {"beta": "true"}
HEADERS = {
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.1.0 (external, cli)",
    "x-app": "cli",
    "x-stainless-helper-method": "stream",
}


def tool(name: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"name": name, "description": f"{name}, at length.", "input_schema": schema}


TOOLS = [
    tool("Bash", {"command": {"type": "string"}, "timeout": {"type": "number"}}, "command"),
    tool("Read", {"file_path": {"type": "string"}, "limit": {"type": "number"}}, "file_path"),
    tool("TodoWrite", {"todos": {"type": "array", "items": {"$ref": "#/$defs/todo"}}}),
]
SYSTEM = [
    {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.0; cc_entrypoint=cli"},
    {"type": "text", "text": "You are Claude Code.", **EPHEMERAL},
    {"type": "text", "text": "# Tone and style\nBe concise.", **EPHEMERAL},
]
ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 32_000,
    "system": SYSTEM,
    "tools": TOOLS,
    "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "medium"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}
REMINDER = {"type": "text", "text": "<system-reminder>\nAs you answer ...\n</system-reminder>"}
FIRST: list[Any] = [
    {
        "role": "user",
        "content": [REMINDER, {"type": "text", "text": "What is in README.md?", **EPHEMERAL}],
    }
]
CALLS = [
    ("toolu_01", "Bash", {"command": "ls -la", "timeout": 5000}),
    ("toolu_02", "Read", {"file_path": "/srv/app/README.md"}),
]
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
RESULTS: list[Any] = [
    {"type": "tool_result", "tool_use_id": "toolu_01", "content": "ls: denied", "is_error": True},
    {
        "type": "tool_result",
        "tool_use_id": "toolu_02",
        "content": [{"type": "text", "text": "# Title"}, {"type": "image", "source": PNG}],
        **EPHEMERAL,
    },
    REMINDER,
]


def code(made: Bench) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=f"http://{HOST}",
        api_key="unused",
        max_retries=0,
        default_headers=HEADERS,
        http_client=made.client,
    )


def turn(made: Bench, model: Model, messages: list[Any], **ask: Any) -> tuple[Any, Any]:
    """One request of the loop: the answer as the SDK joins it, and what the provider was sent."""
    beta = code(made).beta.messages
    asked = {**ASK, **ask, "messages": messages}
    with beta.stream(**asked, betas=BETAS, extra_query=QUERY) as stream:
        answer = stream.get_final_message()
    return answer, model.judge(made.asked)


@pytest.mark.parametrize("name", MODELS)
def test_a_loop_of_tools_ends_with_an_answer(name: str) -> None:
    model = MODELS[name]
    with bench(model.config) as made:
        made.answer(model.plays("I should look.", "Let me look.", CALLS))
        answer, _ = turn(made, model, FIRST)
        kinds = [block.type for block in answer.content if getattr(block, "text", "x")]
        assert [kind for kind in kinds if kind != "thinking"] == ["text", "tool_use", "tool_use"]
        uses = [block for block in answer.content if block.type == "tool_use"]
        assert [(use.name, use.input) for use in uses] == [(n, args) for _, n, args in CALLS]
        assert answer.stop_reason == "tool_use"
        assert answer.usage.output_tokens > 0

        said = [block.model_dump(exclude_none=True) for block in answer.content]
        results = [one | ({"tool_use_id": use.id}) for one, use in zip(RESULTS, uses, strict=False)]
        messages = [
            *FIRST,
            {"role": "assistant", "content": said},
            {"role": "user", "content": [*results, REMINDER]},
        ]
        made.answer(model.plays("Now I know.", "A title.", ()))
        answer, asked = turn(made, model, messages)
        assert answer.stop_reason == "end_turn"
        assert [block.text for block in answer.content if block.type == "text"] == ["A title."]
        sent = json.dumps(asked)
        assert all(words in sent for words in ("ls: denied", "# Title", "iVBORw0KGgo="))
        assert model.proof in sent
        assert "llm-mesh." not in sent


@pytest.mark.parametrize("name", FOREIGN)
def test_no_field_of_the_client_reaches_another_vendor(name: str) -> None:
    model = MODELS[name]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        turn(made, model, FIRST)
        headers = {field.lower() for field, _ in made.asked.headers}
        assert not [field for field in headers if field.startswith(("anthropic-", "x-stainless-"))]
        assert "x-api-key" not in headers


@pytest.mark.parametrize("name", FOREIGN)
def test_thoughts_of_one_provider_are_not_sent_to_another(name: str) -> None:
    """A conversation goes on where it failed over."""
    model = MODELS[name]
    foreign = [
        {"type": "thinking", "thinking": "theirs", "signature": "llm-mesh.cmZvcmVpZ24="},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "ls"}},
    ]
    messages = [
        *FIRST,
        {"role": "assistant", "content": foreign},
        {"role": "user", "content": RESULTS[:1]},
    ]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        _, asked = turn(made, model, messages)
        assert "foreign" not in json.dumps(asked)


@pytest.mark.parametrize("name", MODELS)
def test_small_requests_beside_the_loop_are_answered(name: str) -> None:
    """It asks for a quota and for a title, without tools, and for a count."""
    model = MODELS[name]
    quota: dict[str, Any] = {
        "model": "claude-haiku-4-5",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "quota"}],
    }
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    title: dict[str, Any] = {
        **quota,
        "max_tokens": 32_000,
        "tools": [],
        "extra_body": {"temperature": 1},
        "system": SYSTEM,
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    with bench(model.config) as made:
        for ask in (quota, title):
            made.answer(model.plays("", '{"title": "x"}', ()))
            with code(made).beta.messages.stream(
                **ask, betas=BETAS[:1], extra_query=QUERY
            ) as stream:
                answer = stream.get_final_message()
            assert answer.content[-1].text == '{"title": "x"}'
            model.judge(made.asked)
        made.upstream.clear()
        if name != "anthropic":
            asked = {**quota, "tools": TOOLS, "system": SYSTEM}
            del asked["max_tokens"]
            counted = code(made).beta.messages.count_tokens(**asked, betas=BETAS, extra_query=QUERY)
            assert counted.input_tokens > 100
            assert not made.upstream.requests


@pytest.mark.parametrize("name", FOREIGN)
def test_an_overloaded_provider_is_told_as_claude_code_knows_it(name: str) -> None:
    model = MODELS[name]
    with bench(model.config) as made:
        body = {"message": "busy", "error": {"message": "busy", "status": "UNAVAILABLE"}}
        made.answer(Answer(503, [("x-amzn-errortype", "ServiceUnavailableException")], body))
        with pytest.raises(anthropic.APIStatusError) as raised:
            turn(made, model, FIRST)
        assert raised.value.status_code == 529
        assert raised.value.body["error"]["type"] == "overloaded_error"


def test_the_path_and_its_query_are_claude_codes() -> None:
    model = MODELS["chat"]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        seen: list[httpx2.Request] = []
        made.client.event_hooks["request"].append(seen.append)
        turn(made, model, FIRST)
        assert seen[0].url.raw_path == b"/v1/messages?beta=true"
        assert made.asked.target == "/v1/chat/completions"
