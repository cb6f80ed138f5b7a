"""The provider a fake upstream is when nothing is scripted: a pure function from request to answer.

It checks what a real one would refuse (key, JSON, model) and echoes; tokens are words.
"""

from __future__ import annotations

import array
import base64
import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._answers import Answer, Stream
from ._bodies import (
    CREATED,
    DONE,
    chat_completion,
    chat_stream,
    count_words,
    error_body,
    sse,
    token_usage,
)
from ._requests import RecordedRequest

Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Provider:
    """The fake provider: the key that it requires, and the models that it lists (it serves any)."""

    api_key: str | None = None
    models: Sequence[str] = ("fake-model",)

    def answer(self, request: RecordedRequest) -> Answer | Stream:
        """Answer as OpenAI does, on any path with the same end as one of OpenAI's."""
        if self.api_key is not None and not _shows(request, self.api_key):
            return _refusal(401, "Incorrect API key provided.", code="invalid_api_key")
        if request.method == "GET" and request.path.endswith("/models"):
            return Answer(headers=_headers(request), body=self._models())
        handler = next((h for end, h in _HANDLERS.items() if request.path.endswith(end)), None)
        if handler is None or request.method != "POST":
            return _refusal(404, f"Unknown request URL: {request.method} {request.path}")
        try:
            body = request.json()
        except ValueError:  # also bytes that are not UTF-8
            body = None
        if not isinstance(body, dict):
            return _refusal(400, "We could not parse the JSON body of your request.")
        if not isinstance(body.get("model"), str):
            return _refusal(400, "you must provide a model parameter", param="model")
        return handler(request, body)

    def _models(self) -> Body:
        known = {"object": "model", "created": CREATED, "owned_by": "fake"}
        return {"object": "list", "data": [{"id": model, **known} for model in self.models]}


def _shows(request: RecordedRequest, key: str) -> bool:
    """Return whether the request has the key in the header of its path's dialect."""
    if request.path.endswith("/messages"):
        return request.header("x-api-key") == key
    return request.header("authorization") == f"Bearer {key}"


def _chat(request: RecordedRequest, body: Body) -> Answer | Stream:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return _refusal(400, "'messages' must be a list that is not empty", param="messages")
    texts = [_text(m.get("content")) if isinstance(m, dict) else "" for m in messages]
    content = f"You said: {texts[-1]}".rstrip()
    usage = token_usage(count_words(texts), count_words(content))
    model, id_ = body["model"], f"chatcmpl-{request.number}"
    if not body.get("stream"):
        answer = chat_completion(content, model=model, usage=usage, id=id_)
        return Answer(headers=_headers(request), body=answer)
    asked = _asks_usage(body)
    return _events(
        request, chat_stream(_words(content), model=model, usage=usage, include_usage=asked, id=id_)
    )


def _completions(request: RecordedRequest, body: Body) -> Answer | Stream:
    text = f"You said: {_text(body.get('prompt'))}".rstrip()
    usage = token_usage(count_words(_text(body.get("prompt"))), count_words(text))
    base = {
        "id": f"cmpl-{request.number}",
        "object": "text_completion",
        "created": CREATED,
        "model": body["model"],
    }

    def choices(text: str, finish_reason: str | None) -> list[Body]:
        return [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}]

    if not body.get("stream"):
        answer = {**base, "choices": choices(text, "stop"), "usage": usage}
        return Answer(headers=_headers(request), body=answer)
    events = [sse({**base, "choices": choices(word, None)}) for word in _words(text)]
    events.append(sse({**base, "choices": choices("", "stop")}))
    if _asks_usage(body):
        events.append(sse({**base, "choices": [], "usage": usage}))
    return _events(request, [*events, DONE])


def _responses(request: RecordedRequest, body: Body) -> Answer | Stream:
    prompt = _text(body.get("input"))
    text = f"You said: {prompt}".rstrip()
    content = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": f"msg_{request.number}", "type": "message", "role": "assistant"}
    counted = (count_words(prompt), count_words(text))
    done: Body = {
        "id": f"resp_{request.number}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "model": body["model"],
        "output": [{**item, "status": "completed", "content": [content]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": counted[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": counted[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(counted),
        },
    }
    if not body.get("stream"):
        return Answer(headers=_headers(request), body=done)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0, "logprobs": []}
    steps: list[tuple[str, Body]] = [
        ("response.created", {"response": begun}),
        *(("response.output_text.delta", {**at, "delta": word}) for word in _words(text)),
        ("response.output_text.done", {**at, "text": text}),
        ("response.completed", {"response": done}),
    ]
    return _events(
        request,
        [
            sse({"type": name, "sequence_number": number, **data}, event=name)
            for number, (name, data) in enumerate(steps)
        ],
    )


def _messages(request: RecordedRequest, body: Body) -> Answer | Stream:
    """Respond to a request of Anthropic's Messages API."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return _refusal(400, "messages: at least one message is required", param="messages")
    prompt = _text(messages[-1])
    text = f"You said: {prompt}".rstrip()
    usage = {"input_tokens": count_words(_text(messages)), "output_tokens": count_words(text)}
    done: Body = {
        "id": f"msg_{request.number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    if not body.get("stream"):
        return Answer(headers=_headers(request), body=done)
    begun = {**done, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    steps: list[Body] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": word},
            }
            for word in _words(text)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    return _events(request, [sse(step, event=step["type"]) for step in steps])


def _embeddings(request: RecordedRequest, body: Body) -> Answer | Stream:
    given = body.get("input")
    inputs = given if isinstance(given, list) else [given]
    if not inputs or given is None:
        return _refusal(400, "'input' must not be empty", param="input")
    if isinstance(inputs[0], int):  # one input, already tokens
        inputs = [inputs]
    dimensions = body.get("dimensions")
    vectors = [
        _vector(repr(one), dimensions if isinstance(dimensions, int) else 8) for one in inputs
    ]
    if body.get("encoding_format") == "base64":
        data: list[list[float] | str] = [_packed(vector) for vector in vectors]
    else:
        data = [*vectors]
    tokens = sum(len(one) if isinstance(one, list) else count_words(_text(one)) for one in inputs)
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": e} for i, e in enumerate(data)],
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Answer(headers=_headers(request), body=answer)


# The longer ending comes first: both end alike.
_HANDLERS: Mapping[str, Callable[[RecordedRequest, Body], Answer | Stream]] = {
    "/chat/completions": _chat,
    "/completions": _completions,
    "/embeddings": _embeddings,
    "/messages": _messages,
    "/responses": _responses,
}


def _headers(request: RecordedRequest) -> list[tuple[str, str]]:
    return [("x-request-id", f"req-{request.number}")]


def _events(request: RecordedRequest, events: list[bytes]) -> Stream:
    return Stream(events, headers=[("content-type", "text/event-stream"), *_headers(request)])


def _refusal(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> Answer:
    return Answer(status, body=error_body(message, code=code, param=param))


def _asks_usage(body: Body) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _text(content: object) -> str:
    """Return the text of a content: a string, a part, a message or a list of these."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return _text(content.get("text", content.get("content")))
    return " ".join(map(_text, content)) if isinstance(content, list) else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _vector(seed: str, dimensions: int) -> list[float]:
    digest = hashlib.sha256(seed.encode()).digest()
    return [digest[i % len(digest)] / 128 - 1 for i in range(dimensions)]


def _packed(vector: list[float]) -> str:
    floats = array.array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()
