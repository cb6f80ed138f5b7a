"""Codex's traffic, in the shapes that it has on the wire, on a model of every dialect.

It is stateless: each request repeats the whole conversation, with reasoning in sealed items.
Members, order and header fields are those of Codex 0.171, as recorded; the words are ours.
"""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from llm_mesh_middleware.testing import Answer, Stream
from tests.clouds.bench import HOST, Bench, bench
from tests.rows import rows
from tests.translation.dialect_table import PROVIDERS
from tests.translation.spoken.rows import Provider

FOREIGN = [name for name in PROVIDERS if name != "responses"]
ID = "01a00000-0000-7000-8000-000000000000"
HEADERS = {
    "originator": "codex_exec",
    "session-id": ID,
    "thread-id": ID,
    "user-agent": "codex_exec/0.171.0 (Linux; x86_64) unknown (codex_exec; 0.171.0)",
    "x-client-request-id": ID,
    "x-codex-beta-features": "remote_compaction_v2",
    "x-codex-turn-metadata": json.dumps({"session_id": ID, "agent_name": "/root"}),
    "x-codex-window-id": f"{ID}:0",
}
GRAMMAR = 'start: begin_patch hunk+ end_patch\nbegin_patch: "*** Begin Patch" LF'
TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "exec_command",
        "description": "Runs a command in a PTY.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
            "required": ["cmd"],
            "additionalProperties": False,
        },
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files. The input is FREEFORM, do not wrap it in JSON.",
        "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
    },
    {
        "type": "namespace",
        "name": "multi_agent_v1",
        "description": "Helpers.",
        "tools": [
            {
                "type": "function",
                "name": "spawn_agent",
                "description": "Starts one.",
                "strict": False,
                "parameters": {"type": "object", "properties": {"message": {"type": "string"}}},
            }
        ],
    },
    {"type": "web_search", "external_web_access": False},
]
ASK: dict[str, Any] = {
    "model": "gpt-5.1-codex",
    "tools": TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": ID,
    "extra_body": {"client_metadata": {"session_id": ID, "x-codex-window-id": f"{ID}:0"}},
}


def said(role: str, *texts: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "id": f"msg_{ID}", "role": role, "content": content}


FIRST = [
    said("developer", "You are a helper on a terminal."),
    said("developer", "<skills>none</skills>", "<permissions>read-only</permissions>"),
    said("user", "<environment_context>\n  <cwd>/srv/app</cwd>\n</environment_context>"),
    said("user", "Fix the title."),
]
PATCH = "*** Begin Patch\n*** Update File: a.md\n+Title\n*** End Patch\n"
CALLS = [
    ("call_1", "exec_command", {"cmd": "cat a.md", "yield_time_ms": 1000}),
    ("call_2", "apply_patch", {"input": PATCH}),
]


def codex(made: Bench) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1",
        api_key="unused",
        max_retries=0,
        default_headers=HEADERS,
        http_client=made.client,
    )


def turn(made: Bench, model: Provider, input: list[Any]) -> tuple[list[Any], Any]:
    """One request of the loop: its events, and what the provider was sent."""
    events = list(codex(made).responses.create(**ASK, input=input, stream=True))
    return events, model.judge(made.asked)


def kept(item: Any) -> dict[str, Any]:
    """An item of an answer as Codex sends it back."""
    held: dict[str, Any] = item.model_dump(exclude_none=True)
    if held["type"] == "reasoning":
        held = {k: held[k] for k in ("type", "id", "summary", "encrypted_content") if k in held}
        return held | {"content": None}
    return held


@rows("name", FOREIGN)
def test_a_loop_of_tools_ends_with_an_answer(name: str) -> None:
    model = PROVIDERS[name]
    with bench(model.config) as made:
        made.answer(model.plays("I should look.", "Let me look.", CALLS))
        events, asked = turn(made, model, FIRST)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        done = events[-1]
        assert done.type == "response.completed"
        assert done.response.id
        output = done.response.output
        assert [item.type for item in output if item.type != "reasoning"] == [
            "message",
            "function_call",
            "custom_tool_call",
        ]
        assert f"(lark):\\n{json.dumps(GRAMMAR)[1:-1]}" in json.dumps(asked)
        command, patch = output[-2:]
        assert (command.name, json.loads(command.arguments)) == CALLS[0][1:]
        assert (patch.name, patch.input) == ("apply_patch", PATCH)
        told = [event for event in events if event.type.startswith("response.custom_tool_call")]
        assert told[-1].input == PATCH
        assert done.response.usage.output_tokens > 0

        results = [
            {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "Success."},
            {
                "type": "function_call_output",
                "id": f"fco_{ID}",
                "call_id": command.call_id,
                "output": "# Titel",
            },
        ]
        made.answer(model.plays("Now it is right.", "Fixed.", ()))
        events, asked = turn(made, model, [*FIRST, *map(kept, output), *results])
        assert events[-1].response.output_text == "Fixed."
        sent = json.dumps(asked)
        assert all(words in sent for words in ("# Titel", "Success.", "Begin Patch"))
        assert model.proof in sent
        assert "llm-mesh." not in sent


@rows("name", FOREIGN)
def test_no_field_of_the_client_reaches_the_provider(name: str) -> None:
    model = PROVIDERS[name]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        turn(made, model, FIRST)
        headers = {field.lower() for field, _ in made.asked.headers}
        assert not [field for field in headers if field.startswith(("openai-", "x-stainless-"))]
        assert not headers & {"session-id", "thread-id", "originator"}
        assert not [field for field in headers if field.startswith("x-codex-")]


@rows("name", FOREIGN)
def test_a_tool_in_a_namespace_is_called_by_its_own_name(name: str) -> None:
    model = PROVIDERS[name]
    arguments = {"message": "Look."}
    with bench(model.config) as made:
        made.answer(model.plays("hm", "", [("call_1", "multi_agent_v1__spawn_agent", arguments)]))
        events, asked = turn(made, model, FIRST)
        assert '"multi_agent_v1__spawn_agent"' in json.dumps(asked)
        (call,) = [item for item in events[-1].response.output if item.type == "function_call"]
        assert (call.namespace, call.name) == ("multi_agent_v1", "spawn_agent")
        assert json.loads(call.arguments) == arguments

        made.answer(model.plays("hm", "Done.", ()))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "started"}
        said_so_far = [kept(item) for item in events[-1].response.output]
        events, asked = turn(made, model, [*FIRST, *said_so_far, result])
        assert json.dumps(asked).count('"multi_agent_v1__spawn_agent"') >= 2
        assert events[-1].response.output_text == "Done."


def test_tools_that_run_at_openai_are_named_as_dropped() -> None:
    model = PROVIDERS["chat"]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        ask = {**ASK, "input": FIRST, "stream": True}
        raw = codex(made).responses.with_raw_response.create(**ask)
        assert list(raw.parse())
        assert raw.headers["x-llm-mesh-dropped"] == "tools.web_search"


@pytest.mark.slow
@pytest.mark.parametrize("name", FOREIGN)
def test_a_stream_that_breaks_off_is_no_completed_response(name: str) -> None:
    model = PROVIDERS[name]
    with bench(model.config) as made:
        played = model.plays("hm", "Hi", ())
        whole = b"".join(chunk for chunk in played.chunks if isinstance(chunk, bytes))
        made.answer(Stream([whole[: len(whole) // 2]], headers=played.headers))
        events = list(codex(made).responses.create(**ASK, input=FIRST, stream=True))
        assert events[-1].type == "response.failed"
        assert events[-1].response.error.message


@rows("name", FOREIGN)
def test_a_limit_of_the_rate_is_told_with_its_time(name: str) -> None:
    with bench(PROVIDERS[name].config) as made:
        body = {"message": "slow down", "error": {"message": "slow down", "type": "x"}}
        made.answer(Answer(429, [("retry-after", "17")], body))
        with pytest.raises(openai.RateLimitError, match="slow down") as raised:
            turn(made, PROVIDERS[name], FIRST)
        assert raised.value.response.headers["retry-after"] == "17"
