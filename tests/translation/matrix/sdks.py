"""The official SDKs as clients: what each says that a model has answered, in one form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai
from google import genai
from google.genai import errors, types

from llm_mesh_httpx import MeshTransport
from tests.clouds.bench import HOST, Bench

__all__ = ["SDKS", "Told"]

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}


@dataclass(frozen=True)
class Told:
    """An answer, as an SDK has it."""

    text: str
    thought: str
    calls: tuple[tuple[str, dict[str, Any]], ...]
    finish: str
    input: int
    output: int
    cached: int | None


def _openai(made: Bench) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )


def _chat(made: Bench, *, streams: bool) -> Told:
    tool = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
    hi = [{"role": "user", "content": "Hi"}]
    ask: Any = {"model": "m", "messages": hi, "tools": [tool]}
    sdk = _openai(made).chat.completions
    if streams:
        usage = {"include_usage": True}
        with sdk.stream(**ask, stream_options=usage) as stream:  # type: ignore[arg-type]
            pieces = [event.chunk for event in stream if event.type == "chunk"]
            got: Any = stream.get_final_completion()
        deltas = [piece.choices[0].delta for piece in pieces if piece.choices]
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    else:
        got = sdk.create(**ask)
        thought = getattr(got.choices[0].message, "reasoning_content", None) or ""
    message, finish, usage = got.choices[0].message, got.choices[0].finish_reason, got.usage
    calls = [one.function for one in message.tool_calls or ()]
    return Told(
        message.content or "",
        thought,
        tuple((call.name, json.loads(call.arguments)) for call in calls),
        "refused" if finish == "content_filter" else finish,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens,
    )


def _responses(made: Bench, *, streams: bool) -> Told:
    tool: Any = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}
    ask: Any = {"model": "m", "input": "Hi", "tools": [tool], "store": False}
    if streams:
        got: Any = list(_openai(made).responses.create(**ask, stream=True))[-1].response
    else:
        got = _openai(made).responses.create(**ask)
    calls = [item for item in got.output if item.type == "function_call"]
    thoughts = [item for item in got.output if item.type == "reasoning"]
    reasons = {"max_output_tokens": "length", "content_filter": "refused"}
    ended = "tool_calls" if calls else "stop"
    details = got.incomplete_details
    return Told(
        got.output_text,
        "".join(text.text for item in thoughts for text in item.summary),
        tuple((call.name, json.loads(call.arguments)) for call in calls),
        reasons[details.reason] if details else ended,
        got.usage.input_tokens,
        got.usage.output_tokens,
        got.usage.input_tokens_details.cached_tokens,
    )


def _messages(made: Bench, *, streams: bool) -> Told:
    tool = {"name": "look", "input_schema": SCHEMA}
    hi = [{"role": "user", "content": "Hi"}]
    ask: Any = {"model": "m", "max_tokens": 99, "messages": hi, "tools": [tool]}
    sdk = anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    )
    if streams:
        with sdk.messages.stream(**ask) as stream:
            got: Any = stream.get_final_message()
    else:
        got = sdk.messages.create(**ask)
    words = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
    usage = got.usage
    cached = usage.cache_read_input_tokens or 0
    return Told(
        "".join(block.text for block in got.content if block.type == "text"),
        "".join(block.thinking for block in got.content if block.type == "thinking"),
        tuple((block.name, block.input) for block in got.content if block.type == "tool_use"),
        words.get(got.stop_reason, "refused"),
        usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
        usage.output_tokens,
        cached,
    )


def _gemini(made: Bench, *, streams: bool) -> Told:
    declared = {"name": "look", "parameters_json_schema": SCHEMA}
    config: Any = {"tools": [{"function_declarations": [declared]}]}
    config |= {"automatic_function_calling": {"disable": True}}
    with httpx.Client(transport=MeshTransport(made.mesh)) as http:
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        models = genai.Client(api_key="none", http_options=options).models
        ask: Any = {"model": "m", "contents": "Hi", "config": config}
        given = models.generate_content_stream if streams else models.generate_content
        made_of: list[Any] = list(given(**ask)) if streams else [given(**ask)]
    candidates = [one.candidates[0] for one in made_of]
    parts = [part for one in candidates for part in (one.content and one.content.parts) or ()]
    calls = tuple((p.function_call.name, p.function_call.args) for p in parts if p.function_call)
    reason = candidates[-1].finish_reason.name
    usage = made_of[-1].usage_metadata
    return Told(
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        calls,
        {"STOP": "tool_calls" if calls else "stop", "MAX_TOKENS": "length"}.get(reason, "refused"),
        usage.prompt_token_count,
        usage.candidates_token_count + (usage.thoughts_token_count or 0),
        usage.cached_content_token_count,
    )


_OPENAIS: Mapping[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}
_ANTHROPICS: Mapping[int, type[Exception]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.OverloadedError,
}
_GOOGLES = {
    status: errors.ClientError if status < 500 else errors.ServerError for status in _OPENAIS
}


@dataclass(frozen=True)
class SDK:
    """What asks, and what it raises for a provider's status."""

    ask: Callable[..., Told]
    raises: Mapping[int, type[Exception]]


SDKS: dict[str, SDK] = {
    "chat": SDK(_chat, _OPENAIS),
    "responses": SDK(_responses, _OPENAIS),
    "messages": SDK(_messages, _ANTHROPICS),
    "gemini": SDK(_gemini, _GOOGLES),
}
