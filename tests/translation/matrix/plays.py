"""One part for the providers of every dialect to play: whole, as a stream, or failing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_mesh_middleware.testing import Answer, Stream
from tests.agents.models import KEY, MODELS, Call
from tests.clouds.converse import FRAMES
from tests.translation.worlds import events

__all__ = ["CACHED", "CALLS", "INPUT", "OUTPUT", "PROVIDERS", "REASONED", "Part", "Provider"]

# Counts of tokens: of the input, of it from a cache; of the output, of it thoughts.
INPUT, CACHED, OUTPUT, REASONED = 9, 4, 5, 2
CALLS: Sequence[Call] = (("call_1", "look", {"at": "it"}), ("call_2", "look", {"at": "Zürich"}))
_WORDS = "in the provider's own words"


@dataclass(frozen=True)
class Part:
    """What a model is to say, and why it ends: stop, length, tool_calls or refused."""

    text: str = "Grüezi"
    thought: str = ""
    calls: Sequence[Call] = ()
    finish: str = "stop"


def _chat(part: Part) -> dict[str, Any]:
    words = {"refused": "content_filter"}
    made = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for id, name, args in part.calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": part.text or None}
    message |= {"tool_calls": made} if made else {}
    message |= {"reasoning_content": part.thought} if part.thought else {}
    finish = words.get(part.finish, part.finish)
    usage = {
        "prompt_tokens": INPUT,
        "completion_tokens": OUTPUT,
        "total_tokens": INPUT + OUTPUT,
        "prompt_tokens_details": {"cached_tokens": CACHED},
        "completion_tokens_details": {"reasoning_tokens": REASONED},
    }
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt"}
    return head | {"choices": [choice], "usage": usage}


def _responses(part: Part) -> dict[str, Any]:
    reasons = {"length": "max_output_tokens", "refused": "content_filter"}
    items: list[dict[str, Any]] = []
    if part.thought:
        summary = [{"type": "summary_text", "text": part.thought}]
        items.append({"type": "reasoning", "id": "rs_1", "summary": summary})
    if part.text:
        said = {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
        head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        items.append(head | {"content": [said]})
    items += [
        {
            "type": "function_call",
            "id": f"fc_{id}",
            "call_id": id,
            "name": name,
            "arguments": json.dumps(args),
            "status": "completed",
        }
        for id, name, args in part.calls
    ]
    reason = reasons.get(part.finish)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt",
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": items,
        "usage": {
            "input_tokens": INPUT,
            "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": OUTPUT,
            "output_tokens_details": {"reasoning_tokens": REASONED},
            "total_tokens": INPUT + OUTPUT,
        },
    }


def _messages(part: Part) -> dict[str, Any]:
    words = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    blocks: list[dict[str, Any]] = []
    if part.thought:
        blocks.append({"type": "thinking", "thinking": part.thought, "signature": "c2ln"})
    blocks += [{"type": "text", "text": part.text}] if part.text else []
    blocks += [
        {"type": "tool_use", "id": id, "name": name, "input": args} for id, name, args in part.calls
    ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": blocks,
        "stop_reason": words.get(part.finish, "refusal"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT - CACHED,
            "cache_read_input_tokens": CACHED,
            "cache_creation_input_tokens": 0,
            "output_tokens": OUTPUT,
            "output_tokens_details": {"thinking_tokens": REASONED},
        },
    }


def _gemini(part: Part) -> dict[str, Any]:
    words = {"length": "MAX_TOKENS", "refused": "SAFETY"}
    parts: list[dict[str, Any]] = []
    parts += [{"text": part.thought, "thought": True}] if part.thought else []
    parts += [{"text": part.text}] if part.text else []
    parts += [{"functionCall": {"name": name, "args": args}} for _, name, args in part.calls]
    content = {"role": "model", "parts": parts}
    finish = words.get(part.finish, "STOP")
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": finish}],
        "modelVersion": "gemini",
        "responseId": "r",
        "usageMetadata": {
            "promptTokenCount": INPUT,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": OUTPUT - REASONED,
            "thoughtsTokenCount": REASONED,
            "totalTokenCount": INPUT + OUTPUT,
        },
    }


def _bedrock(part: Part) -> dict[str, Any]:
    words = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    blocks: list[dict[str, Any]] = []
    if part.thought:
        thought = {"text": part.thought, "signature": "c2ln"}
        blocks.append({"reasoningContent": {"reasoningText": thought}})
    blocks += [{"text": part.text}] if part.text else []
    blocks += [
        {"toolUse": {"toolUseId": id, "name": name, "input": args}} for id, name, args in part.calls
    ]
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": words.get(part.finish, "guardrail_intervened"),
        "usage": {
            "inputTokens": INPUT - CACHED,
            "cacheReadInputTokens": CACHED,
            "outputTokens": OUTPUT,
            "totalTokens": INPUT + OUTPUT,
        },
        "metrics": {"latencyMs": 1},
    }


def _responses_stream(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    finish = "tool_calls" if calls else "stop"
    response = _responses(Part(said, thought, calls, finish))
    begun = response | {"status": "in_progress", "output": [], "usage": None}
    given: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(response["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        given.append({"type": "response.output_item.added", **at, "item": item})
        if item["type"] == "message":
            text = {"content_index": 0, "delta": said, "logprobs": []}
            given.append({"type": "response.output_text.delta", **at, **text})
        if item["type"] == "reasoning":
            summary = {"summary_index": 0, "delta": thought}
            given.append({"type": "response.reasoning_summary_text.delta", **at, **summary})
        given.append({"type": "response.output_item.done", **at, "item": item})
    given.append({"type": "response.completed", "response": response})
    return Stream(events(*({**one, "sequence_number": n} for n, one in enumerate(given))))


_EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_GOOGLES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_ANTHROPICS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
}


def _openai_error(status: int) -> Mapping[str, Any]:
    return {"error": {"message": _WORDS, "type": "x", "param": None, "code": None}}


def _claude_error(status: int) -> Mapping[str, Any]:
    kind = _ANTHROPICS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": _WORDS}}


def _google_error(status: int) -> Mapping[str, Any]:
    return {"error": {"code": status, "message": _WORDS, "status": _GOOGLES.get(status, "X")}}


@dataclass(frozen=True)
class Provider:
    """A provider of one dialect."""

    config: Mapping[str, Any]
    write: Callable[[Part], dict[str, Any]]
    stream: Callable[[str, str, Sequence[Call]], Stream]
    error: Callable[[int], Mapping[str, Any]]
    headers: tuple[tuple[str, str], ...] = ()

    def whole(self, part: Part) -> Answer:
        """Return the part as one body."""
        return Answer(headers=self.headers, body=self.write(part))

    def fails(self, status: int) -> Answer:
        """Return an error that is not to be tried again soon."""
        kind = _EXCEPTIONS.get(status, "InternalServerException")
        fields = [("retry-after", "60"), ("x-amzn-errortype", kind)]
        return Answer(status, fields, self.error(status))


_RESPONSES = {"openAIConfig": {"apiKey": KEY, "model": "gpt", "apis": ["responses"]}}
PROVIDERS: dict[str, Provider] = {
    "chat": Provider(MODELS["chat"].config, _chat, MODELS["chat"].plays, _openai_error),
    "responses": Provider(_RESPONSES, _responses, _responses_stream, _openai_error),
    "messages": Provider(
        MODELS["anthropic"].config, _messages, MODELS["anthropic"].plays, _claude_error
    ),
    "gemini": Provider(MODELS["gemini"].config, _gemini, MODELS["gemini"].plays, _google_error),
    "bedrock": Provider(
        MODELS["bedrock"].config,
        _bedrock,
        MODELS["bedrock"].plays,
        lambda status: {"message": _WORDS},
        FRAMES[1:],
    ),
}
