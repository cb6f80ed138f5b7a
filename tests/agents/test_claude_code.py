"""Claude Code's traffic, in the shapes that it has on the wire, on a model of every dialect.

The members, their order and the header fields are those of Claude Code 2.1.197, as recorded; the
words are ours.
"""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest

from llm_mesh_middleware.testing import Answer
from tests.clouds.bench import HOST, Bench, bench
from tests.rows import rows
from tests.translation.dialect_table import PROVIDERS
from tests.translation.spoken.rows import Provider

FOREIGN = [name for name in PROVIDERS if name != "messages"]
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
BETAS = [
    "claude-code-20250219",
    "context-1m-2025-08-07",
    "interleaved-thinking-2025-05-14",
    "thinking-token-count-2026-05-13",
    "context-management-2025-06-27",
    "prompt-caching-scope-2026-01-05",
    "mid-conversation-system-2026-04-07",
    "effort-2025-11-24",
]
QUERY = {"beta": "true"}
HEADERS = {
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.1.197 (external, sdk-cli)",
    "x-app": "cli",
    "x-claude-code-session-id": "00000000-0000-4000-8000-000000000000",
    "x-stainless-runtime": "node",
    "x-stainless-timeout": "600",
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
    tool(
        "TaskUpdate",
        {
            "status": {"anyOf": [{"type": "string", "enum": ["open"]}, {"const": "gone"}]},
            "addBlocks": {"type": "array", "items": {"type": "string"}, "maxItems": 9},
            "metadata": {
                "type": "object",
                "propertyNames": {"type": "string"},
                "additionalProperties": {},
            },
            "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
        },
    ),
]
SYSTEM = [
    {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cc_entrypoint=sdk-cli;"},
    {"type": "text", "text": "You are Claude Code.", **EPHEMERAL},
    {"type": "text", "text": "# Tone and style\nBe concise.", **EPHEMERAL},
]
ASK: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 64_000,
    "system": SYSTEM,
    "tools": TOOLS,
    "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}
REMINDER = {"type": "text", "text": "<system-reminder>\nAs you answer ...\n</system-reminder>"}
FIRST: list[Any] = [
    {
        "role": "user",
        "content": [REMINDER, {"type": "text", "text": "What is in README.md?", **EPHEMERAL}],
    },
    # Instructions after the first turn.
    {"role": "system", "content": "Available helpers: one that searches."},
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


def turn(made: Bench, model: Provider, messages: list[Any], **ask: Any) -> tuple[Any, Any]:
    """One request of the loop: the answer as the SDK joins it, and what the provider was sent."""
    beta = code(made).beta.messages
    asked = {**ASK, **ask, "messages": messages}
    with beta.stream(**asked, betas=BETAS, extra_query=QUERY) as stream:
        answer = stream.get_final_message()
    return answer, model.judge(made.asked)


@rows("name", PROVIDERS)
def test_a_loop_of_tools_ends_with_an_answer(name: str) -> None:
    model = PROVIDERS[name]
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
        results.reverse()  # they come in the order in which the tools have ended
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
        assert "Available helpers" in sent


@pytest.mark.parametrize("name", FOREIGN)
def test_a_message_is_of_the_model_that_was_asked_for(name: str) -> None:
    """Claude Code sends thoughts of that model back only, and with them their proofs."""
    model = PROVIDERS[name]
    with bench(model.config) as made:
        made.answer(model.plays("I should look.", "Let me look.", CALLS))
        answer, _ = turn(made, model, FIRST)
        assert answer.model == ASK["model"]


def test_instructions_after_the_first_turn_are_the_users_for_strict_templates() -> None:
    """Templates of Qwen, Llama and Gemma refuse any but the first message of the system."""
    model = PROVIDERS["chat"]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        _, asked = turn(made, model, FIRST)
        roles = [message["role"] for message in asked["messages"]]
        assert roles == ["system", "user"]
        assert asked["messages"][1]["content"][-1]["text"] == FIRST[1]["content"]


def test_instructions_after_the_first_turn_keep_their_role_at_openai() -> None:
    model = PROVIDERS["chat"]
    with bench(model.config, host="api.openai.com") as made:
        made.answer(model.plays("hm", "Hi", ()))
        sdk = code(made).with_options(base_url="http://api.openai.com")
        with sdk.beta.messages.stream(**ASK, messages=FIRST, betas=BETAS) as stream:
            stream.get_final_message()
        roles = [message["role"] for message in model.judge(made.asked)["messages"]]
        assert roles == ["system", "user", "system"]


def test_gemini_is_told_results_in_the_order_of_its_calls() -> None:
    """Nothing else tells it whose they are, where two calls are of the same tool."""
    model = PROVIDERS["gemini"]
    calls = [(f"toolu_{i}", "Bash", {"command": f"echo {i}"}) for i in (1, 2)]
    uses = [{"type": "tool_use", "id": id, "name": n, "input": args} for id, n, args in calls]
    results = [
        {"type": "tool_result", "tool_use_id": f"toolu_{i}", "content": f"said {i}"} for i in (2, 1)
    ]
    said = [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        _, asked = turn(made, model, [*FIRST, *said])
    parts = asked["contents"][-1]["parts"]
    outputs = [part["functionResponse"]["response"]["output"] for part in parts]
    assert outputs == ["said 1", "said 2"]


@rows("name", FOREIGN)
def test_no_field_of_the_client_reaches_another_vendor(name: str) -> None:
    model = PROVIDERS[name]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        turn(made, model, FIRST)
        headers = {field.lower() for field, _ in made.asked.headers}
        assert not [field for field in headers if field.startswith(("anthropic-", "x-stainless-"))]
        assert "x-api-key" not in headers


@rows("name", [name for name in FOREIGN if name != "responses"])
def test_thoughts_of_one_provider_are_not_sent_to_another(name: str) -> None:
    """A conversation that has failed over from a provider of Responses goes on."""
    model = PROVIDERS[name]
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


@rows("name", PROVIDERS)
def test_small_requests_beside_the_loop_are_answered(name: str) -> None:
    """It asks for a quota and for a title, without tools, and for a count."""
    model = PROVIDERS[name]
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
        made.answer(Answer(body={"input_tokens": 4242, "totalTokens": 4242, "inputTokens": 4242}))
        asked = {**quota, "tools": TOOLS, "system": SYSTEM}
        del asked["max_tokens"]
        counted = code(made).beta.messages.count_tokens(**asked, betas=BETAS, extra_query=QUERY)
        if not model.counts:
            assert 100 < counted.input_tokens < 4242
            assert not made.upstream.requests
        else:
            assert counted.input_tokens == 4242


@rows("name", FOREIGN)
def test_an_overloaded_provider_is_told_as_claude_code_knows_it(name: str) -> None:
    model = PROVIDERS[name]
    with bench(model.config) as made:
        body = {"message": "busy", "error": {"message": "busy", "status": "UNAVAILABLE"}}
        busy = Answer(503, [("x-amzn-errortype", "ServiceUnavailableException")], body)
        made.upstream.always(busy)
        with pytest.raises(anthropic.APIStatusError) as raised:
            turn(made, model, FIRST)
        assert raised.value.status_code == 529
        assert raised.value.body["error"]["type"] == "overloaded_error"


def test_the_path_and_its_query_are_claude_codes() -> None:
    model = PROVIDERS["chat"]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        seen: list[httpx2.Request] = []
        made.client.event_hooks["request"].append(seen.append)
        turn(made, model, FIRST)
        assert seen[0].url.raw_path == b"/v1/messages?beta=true"
        assert made.asked.target == "/v1/chat/completions"
