"""Codex's traffic, in the shapes that it has on the wire, on a model of every dialect.

It is stateless: each request repeats the whole conversation, with reasoning in sealed items.
"""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from llm_mesh_middleware.testing import Answer, Stream
from tests.agents.models import MODELS, Model
from tests.clouds.bench import HOST, Bench, bench

HEADERS = {
    "originator": "codex_cli_rs",
    "session_id": "0199c0de-0000-7000-8000-000000000000",
    "user-agent": "codex_cli_rs/0.60.0 (Linux; x86_64)",
    "version": "0.60.0",
    "openai-beta": "responses=experimental",
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
    {"type": "web_search", "external_web_access": False},
]
ASK: dict[str, Any] = {
    "model": "gpt-5.1-codex",
    "instructions": "You are Codex, based on GPT-5.",
    "tools": TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199c0de-0000-7000-8000-000000000000",
    "text": {"verbosity": "low"},
}


def said(role: str, *texts: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "role": role, "content": content}


FIRST = [
    said(
        "developer", "<permissions instructions>\nsandbox: read-only\n</permissions instructions>"
    ),
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


def turn(made: Bench, model: Model, input: list[Any]) -> tuple[list[Any], Any]:
    """One request of the loop: its events, and what the provider was sent."""
    events = list(codex(made).responses.create(**ASK, input=input, stream=True))
    return events, model.judge(made.asked)


def kept(item: Any) -> dict[str, Any]:
    """An item of an answer as Codex sends it back."""
    held: dict[str, Any] = item.model_dump(exclude_none=True)
    if held["type"] == "reasoning":
        return {k: held[k] for k in ("type", "summary", "encrypted_content") if k in held} | {
            "content": None
        }
    if held["type"] == "message":
        return {"type": "message", "role": "assistant", "content": held["content"]}
    return {k: v for k, v in held.items() if k not in ("id", "status")}


@pytest.mark.parametrize("name", MODELS)
def test_a_loop_of_tools_ends_with_an_answer(name: str) -> None:
    model = MODELS[name]
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
            {"type": "function_call_output", "call_id": command.call_id, "output": "# Titel"},
            {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "Success."},
        ]
        made.answer(model.plays("Now it is right.", "Fixed.", ()))
        events, asked = turn(made, model, [*FIRST, *map(kept, output), *results])
        assert events[-1].response.output_text == "Fixed."
        sent = json.dumps(asked)
        assert all(words in sent for words in ("# Titel", "Success.", "Begin Patch"))
        assert model.proof in sent
        assert "llm-mesh." not in sent


@pytest.mark.parametrize("name", MODELS)
def test_no_field_of_the_client_reaches_the_provider(name: str) -> None:
    model = MODELS[name]
    with bench(model.config) as made:
        made.answer(model.plays("hm", "Hi", ()))
        turn(made, model, FIRST)
        headers = {field.lower() for field, _ in made.asked.headers}
        assert not [field for field in headers if field.startswith(("openai-", "x-stainless-"))]
        assert not headers & {"session_id", "originator"}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_stream_that_breaks_off_is_no_completed_response(name: str) -> None:
    model = MODELS[name]
    with bench(model.config) as made:
        played = model.plays("hm", "Hi", ())
        whole = b"".join(chunk for chunk in played.chunks if isinstance(chunk, bytes))
        made.answer(Stream([whole[: len(whole) // 2]], headers=played.headers))
        events = list(codex(made).responses.create(**ASK, input=FIRST, stream=True))
        assert events[-1].type == "response.failed"
        assert events[-1].response.error.message


@pytest.mark.parametrize("name", MODELS)
def test_a_limit_of_the_rate_is_told_with_its_time(name: str) -> None:
    with bench(MODELS[name].config) as made:
        body = {"message": "slow down", "error": {"message": "slow down", "type": "x"}}
        made.answer(Answer(429, [("retry-after", "17")], body))
        with pytest.raises(openai.RateLimitError, match="slow down") as raised:
            turn(made, MODELS[name], FIRST)
        assert raised.value.response.headers["retry-after"] == "17"
