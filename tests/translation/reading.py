"""What the official SDKs read of the bytes of a stream."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import httpx
import httpx2
import openai
from google import genai
from google.genai import types

__all__ = ["READERS", "Read"]

_HI: Any = [{"role": "user", "content": "Hi"}]


@dataclass
class Read:
    """An answer; `calls` are names with arguments, `usage` counts input and output.

    `images` are URLs that hold the image itself, `drafts` those of images on the way, `sources`
    those of what a text refers to.
    """

    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    finish: str = "stop"
    usage: tuple[int, int] = (0, 0)
    images: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    drafts: tuple[str, ...] = ()


def _given(http: Any, body: bytes) -> Any:
    """Return a client of `httpx` or `httpx2` that gets a stream with these bytes."""
    head = {"content-type": "text/event-stream"}
    answer = partial(http.Response, 200, headers=head, content=body)
    return http.Client(transport=http.MockTransport(lambda request: answer()))


def _openai(body: bytes) -> openai.OpenAI:
    return openai.OpenAI(
        base_url="http://llm/v1", api_key="k", max_retries=0, http_client=_given(httpx2, body)
    )


def _chat(body: bytes) -> Read:
    read, pieces = Read(finish=""), dict[int, list[str]]()
    for chunk in _openai(body).chat.completions.create(model="m", messages=_HI, stream=True):
        if chunk.usage:
            read.usage = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for choice in chunk.choices:
            delta = choice.delta
            read.text += (delta.content or "") + (delta.refusal or "")
            read.thought += getattr(delta, "reasoning_content", None) or ""
            for image in getattr(delta, "images", None) or ():
                assert (image["type"], image["index"]) == ("image_url", len(read.images))
                read.images += (image["image_url"]["url"],)
            for note in getattr(delta, "annotations", None) or ():
                assert note.get("index", 0) == len(read.sources)
                read.sources += (note["url_citation"]["url"],)
            read.finish = choice.finish_reason or read.finish
            for call in delta.tool_calls or ():
                assert call.function is not None
                named, given = call.function.name, call.function.arguments
                pieces.setdefault(call.index, [named or ""]).append(given or "")
    assert list(pieces) == list(range(len(pieces)))
    read.calls = tuple((name, json.loads("".join(texts))) for name, *texts in pieces.values())
    return read


def _responses(body: bytes) -> Read:
    events: list[Any] = list(_openai(body).responses.create(model="m", input="Hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    if last.type in ("response.failed", "error"):
        raise openai.APIError(
            last.message if last.type == "error" else last.response.error.message,
            httpx2.Request("POST", "http://llm"),
            body=None,
        )
    response = last.response
    calls = [item for item in response.output if item.type == "function_call"]
    said = [part for item in response.output if item.type == "message" for part in item.content]
    thoughts = [item for item in response.output if item.type == "reasoning"]
    text = "".join(part.text if part.type == "output_text" else part.refusal for part in said)
    kinds = ("response.output_text.delta", "response.refusal.delta")
    assert "".join(event.delta for event in events if event.type in kinds) == text
    words = {"max_output_tokens": "length", "content_filter": "content_filter"}
    ended, details = "tool_calls" if calls else "stop", response.incomplete_details
    usage = response.usage
    made = [item for item in response.output if item.type == "image_generation_call"]
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item for item in done if item.type == "image_generation_call"] == made
    return Read(
        text,
        "".join(part.text for item in thoughts for part in item.summary),
        tuple((call.name, json.loads(call.arguments)) for call in calls),
        words[details.reason] if details else ended,
        (usage.input_tokens, usage.output_tokens) if usage else (0, 0),
        tuple(f"data:image/{item.output_format};base64,{item.result}" for item in made),
        tuple(note.url for part in said if part.type == "output_text" for note in part.annotations),
    )


def _messages(body: bytes) -> Read:
    sdk = anthropic.Anthropic(
        base_url="http://llm", api_key="k", max_retries=0, http_client=_given(httpx2, body)
    )
    begun, opened = 0, None
    with sdk.messages.stream(model="m", max_tokens=9, messages=_HI) as stream:
        for event in stream:
            if event.type == "content_block_start":
                assert opened is None
                assert event.index == begun
                opened, begun = event.index, begun + 1
            elif event.type == "content_block_delta":
                assert event.index == opened
            elif event.type == "content_block_stop":
                opened = None
        got = stream.get_final_message()
    assert event.type == "message_stop"
    texts = [block.text for block in got.content if block.type == "text"]
    assert all(texts)
    words = {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}
    usage = got.usage
    return Read(
        "".join(texts),
        "".join(block.thinking for block in got.content if block.type == "thinking"),
        tuple((block.name, block.input) for block in got.content if block.type == "tool_use"),
        words.get(str(got.stop_reason), "tool_calls"),
        (usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens),
    )


def _gemini(body: bytes) -> Read:
    with _given(httpx, body) as http:
        options = types.HttpOptions(base_url="http://llm", httpx_client=http)
        models = genai.Client(api_key="k", http_options=options).models
        events = list(models.generate_content_stream(model="m", contents="Hi"))
    candidates = [one for event in events for one in event.candidates or ()]
    parts = [part for one in candidates for part in (one.content and one.content.parts) or ()]
    calls = [part.function_call for part in parts if part.function_call]
    drawn = [(bool(part.thought), part.inline_data) for part in parts if part.inline_data]
    images = [
        (is_draft, f"data:{blob.mime_type};base64,{b64encode(blob.data or b'').decode()}")
        for is_draft, blob in drawn
    ]
    reason, usage = candidates[-1].finish_reason, events[-1].usage_metadata
    assert reason is not None
    words = {"STOP": "tool_calls" if calls else "stop", "MAX_TOKENS": "length"}
    assert usage is not None
    output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Read(
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        tuple((str(call.name), call.args or {}) for call in calls),
        words.get(reason.name, "content_filter"),
        (usage.prompt_token_count or 0, output),
        tuple(url for is_draft, url in images if not is_draft),
        tuple(
            str(cited.uri)
            for one in candidates
            if one.citation_metadata
            for cited in one.citation_metadata.citations or ()
        ),
        tuple(url for is_draft, url in images if is_draft),
    )


READERS: Mapping[str, Callable[[bytes], Read]] = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "gemini": _gemini,
}
