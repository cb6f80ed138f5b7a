"""What the rows of the tables are made of."""

from __future__ import annotations

from typing import Any

from tests.translation.fields.outcomes import SCHEMA, Sent

__all__ = [
    "AMONG",
    "CALL",
    "CUSTOM",
    "FUNCTION",
    "G",
    "HISTORY",
    "INPUT",
    "TOOL",
    "choice",
    "config",
    "inference",
    "of_bedrock",
    "of_claude",
    "of_gemini",
    "of_responses",
    "said",
]


def said(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def of_claude(*blocks: Any) -> Sent:
    return Sent({"messages": [{"role": "user", "content": list(blocks)}]})


def of_gemini(*parts: Any) -> Sent:
    return Sent({"contents": [{"role": "user", "parts": list(parts)}]})


def of_bedrock(*blocks: Any) -> Sent:
    return Sent({"messages": [{"role": "user", "content": list(blocks)}]})


def of_responses(*parts: Any) -> Sent:
    return Sent({"input": [{"role": "user", "content": list(parts)}]})


def config(**members: Any) -> Sent:
    return Sent({"generationConfig": members})


def inference(**members: Any) -> Sent:
    return Sent({"inferenceConfig": members})


FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
G = {"type": "function", "function": {"name": "g"}}
AMONG = {
    "type": "allowed_tools",
    "allowed_tools": {
        "mode": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}}],
    },
}
CUSTOM = {"type": "custom", "custom": {"name": "f", "description": "d"}}
INPUT = {"properties": {"input": {"type": "string"}}, "required": ["input"]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}
HISTORY = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ],
    "tools": [TOOL],
}


def choice(value: Any, *tools: Any) -> dict[str, Any]:
    return {"tools": list(tools or (TOOL,)), "tool_choice": value}
