"""Fields of Messages, Responses and the Gemini API, and what chat completions make of them."""

from __future__ import annotations

from typing import Any

from tests.translation.fields.outcomes import (
    PNG,
    SCHEMA,
    SILENT,
    URL,
    WAV,
    Dropped,
    Outcome,
    Refused,
    Sent,
)

__all__ = ["TO_CHAT"]


def messages(*sent: Any) -> Sent:
    return Sent({"messages": list(sent)})


def blocks(*given: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(given)}]}


def used(*results: Any) -> dict[str, Any]:
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "b"}}
    return {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": list(results)},
        ]
    }


CACHED = {"cache_control": {"type": "ephemeral"}}
BASE64_PNG = {"type": "base64", "media_type": "image/png", "data": PNG}
DATA_PNG = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
# Fields of the other clients -> what chat completions make of them.
TO_CHAT: dict[str, dict[str, tuple[dict[str, Any], Outcome]]] = {
    "messages": {
        "system": ({"system": "S"}, messages({"role": "system", "content": "S"}, {})),
        "system in blocks": (
            {"system": [{"type": "text", "text": "S", **CACHED}, {"type": "text", "text": "T"}]},
            messages({"role": "system", "content": "S\n\nT"}, {}),
        ),
        "image": (
            blocks({"type": "image", "source": BASE64_PNG}),
            messages({"role": "user", "content": [DATA_PNG]}),
        ),
        "image by URL": (
            blocks({"type": "image", "source": {"type": "url", "url": URL}}),
            messages({"content": [{"type": "image_url", "image_url": {"url": URL}}]}),
        ),
        "PDF": (
            blocks({"type": "document", "source": {**BASE64_PNG, "media_type": "application/pdf"}}),
            messages({"content": [{"type": "file"}]}),
        ),
        "text document": (
            blocks(
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "D"},
                }
            ),
            messages({"role": "user"}),
        ),
        "PDF by URL": (
            blocks({"type": "document", "source": {"type": "url", "url": URL}}),
            Refused("document"),
        ),
        "result": (
            used({"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}),
            messages({}, {"tool_calls": [{"id": "toolu_1"}]}, {"role": "tool", "content": "done"}),
        ),
        "result that is an error": (
            used(
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": "no",
                    "is_error": True,
                }
            ),
            messages({}, {}, {"role": "tool", "content": "[tool error] no"}),
        ),
        "image in a result": (
            used(
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "image", "source": BASE64_PNG}],
                },
                {"type": "text", "text": "and?"},
            ),
            messages({}, {}, {"role": "tool", "content": ""}, {"role": "user"}),
        ),
        "thinking of the history": (
            {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "hm", "signature": "s"},
                            {"type": "text", "text": "Yes"},
                        ],
                    },
                    {"role": "user", "content": "Why?"},
                ]
            },
            messages({}, {"role": "assistant", "content": "Yes"}, {}),
        ),
        "limit": ({"max_tokens": 7}, Sent({"max_tokens": 7})),
        "stop": ({"stop_sequences": ["."]}, Sent({"stop": ["."]})),
        "top_k": ({"top_k": 5}, Dropped("top_k")),
        "user": ({"metadata": {"user_id": "u"}}, Sent({"user": "u"})),
        "budget": (
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 7000}},
            Sent({"reasoning_effort": "medium"}),
        ),
        "effort": ({"output_config": {"effort": "low"}}, Sent({"reasoning_effort": "low"})),
        "format": (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            Sent({"response_format": {"type": "json_schema", "json_schema": {"name": "output"}}}),
        ),
        "tool": (
            {"tools": [{"name": "f", "input_schema": SCHEMA, "defer_loading": True, **CACHED}]},
            Sent({"tools": [{"function": {"name": "f", "parameters": SCHEMA}}]}),
        ),
        "choice": (
            {
                "tools": [{"name": "f", "input_schema": SCHEMA}],
                "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            },
            Sent({"tool_choice": "required", "parallel_tool_calls": False}),
        ),
        "tool of the server": (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            Refused("tools"),
        ),
        "container": ({"container": "c"}, Refused("container")),
        "servers": ({"mcp_servers": [{"name": "s"}]}, Refused("mcp_servers")),
        "unknown": ({"some_field": 1}, Dropped("some_field")),
    },
    "responses": {
        "instructions": ({"instructions": "S"}, messages({"role": "system", "content": "S"}, {})),
        "parts": (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": "Hi"},
                            {"type": "input_image", "image_url": DATA_PNG["image_url"]["url"]},
                        ],
                    }
                ]
            },
            messages({"content": [{"type": "text", "text": "Hi"}, DATA_PNG]}),
        ),
        "file by id": (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]},
            messages({"content": [{"type": "file", "file": {"file_id": "file_1"}}]}),
        ),
        "custom call": (
            {
                "input": [
                    {"role": "user", "content": "Hi"},
                    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
                    {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
                ]
            },
            messages(
                {},
                {"tool_calls": [{"function": {"name": "f", "arguments": '{"input":"x"}'}}]},
                {"role": "tool", "content": "done"},
            ),
        ),
        "limit": ({"max_output_tokens": 7}, Sent({"max_tokens": 7})),
        "effort": (
            {"reasoning": {"effort": "low", "summary": "auto"}},
            Sent({"reasoning_effort": "low"}),
        ),
        "verbosity": ({"text": {"verbosity": "low"}}, Sent({"verbosity": "low"})),
        "format": (
            {"text": {"format": {"type": "json_schema", "name": "o", "schema": SCHEMA}}},
            Sent({"response_format": {"json_schema": {"name": "o", "schema": SCHEMA}}}),
        ),
        "logprobs": ({"top_logprobs": 2}, Sent({"logprobs": True, "top_logprobs": 2})),
        "hosted tool": (
            {"tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]},
            Dropped("tools.web_search"),
        ),
        "store": ({"store": False, "include": [], "truncation": "auto"}, SILENT),
        "previous": ({"previous_response_id": "r"}, Refused("previous_response_id")),
        "background": ({"background": True}, Refused("background")),
        "prompt": ({"prompt": {"id": "p"}}, Refused("prompt")),
        "conversation": ({"conversation": "c"}, Refused("conversation")),
        "max_tool_calls": ({"max_tool_calls": 3}, Dropped("max_tool_calls")),
    },
    "gemini": {
        "system": (
            {"systemInstruction": {"parts": [{"text": "S"}]}},
            messages({"role": "system", "content": "S"}, {}),
        ),
        "snake_case": (
            {"system_instruction": {"parts": [{"text": "S"}]}},
            messages({"role": "system", "content": "S"}, {}),
        ),
        "image": (
            {
                "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}],
                "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_HIGH"},
            },
            messages({"content": [{"image_url": {"detail": "high"}}]}),
        ),
        "audio": (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": WAV}}]}]},
            messages({"content": [{"type": "input_audio"}]}),
        ),
        "candidates": ({"generationConfig": {"candidateCount": 2}}, Sent({"n": 2})),
        "logprobs": (
            {"generationConfig": {"responseLogprobs": True, "logprobs": 2}},
            Sent({"logprobs": True, "top_logprobs": 2}),
        ),
        "sampling": (
            {
                "generationConfig": {
                    "temperature": 0.5,
                    "topP": 0.5,
                    "seed": 1,
                    "stopSequences": ["."],
                    "frequencyPenalty": 0.5,
                    "presencePenalty": 0.5,
                    "maxOutputTokens": 7,
                }
            },
            Sent(
                {
                    "temperature": 0.5,
                    "top_p": 0.5,
                    "seed": 1,
                    "stop": ["."],
                    "frequency_penalty": 0.5,
                    "presence_penalty": 0.5,
                    "max_tokens": 7,
                }
            ),
        ),
        "topK": ({"generationConfig": {"topK": 5}}, Dropped("generationConfig.topK")),
        "level": (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
            Sent({"reasoning_effort": "low"}),
        ),
        "schema": (
            {"generationConfig": {"responseJsonSchema": SCHEMA}},
            Sent({"response_format": {"json_schema": {"schema": SCHEMA}}}),
        ),
        "function": (
            {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}]},
            Sent({"tools": [{"function": {"name": "f", "parameters": SCHEMA}}]}),
        ),
        "tool of the server": ({"tools": [{"googleSearch": {}}]}, Refused("tools[0]")),
        "cached content": ({"cachedContent": "c"}, Refused("cachedContent")),
        "safety": ({"safetySettings": []}, Dropped("safetySettings")),
        "labels": ({"labels": {"a": "b"}}, SILENT),
    },
}
