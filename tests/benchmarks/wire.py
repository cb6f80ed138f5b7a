"""What load, contenders and upstream say to one another, so that each can check the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "APP_HOST",
    "ASKED_MODEL",
    "CHAT_PATH",
    "CLIENT_KEY",
    "KEY",
    "LLM_HOST",
    "MODEL",
    "PATH",
    "PROVIDER_HOST",
    "Origin",
    "app_answer",
    "app_request",
    "chat_request",
    "stream_answer",
    "stream_events",
    "unary_answer",
    "usage_event",
]

APP_HOST = "app.example"
LLM_HOST = "llm.example"
PROVIDER_HOST = "provider.example"
CHAT_PATH = "/v1/chat/completions"
PATH = "/compatible-mode/v1/chat/completions"
KEY = "sk-benchmark-0123456789abcdef"
CLIENT_KEY = "sk-of-the-client-0123456789abcdef0123456789abcdef"
MODEL = "model-as-configured"
ASKED_MODEL = "model-of-the-client"  # as long as MODEL: the bodies of all contenders are alike


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a contender finds the upstream; `ca_file` is None for plain HTTP.

    `sink` takes telemetry over OTLP and forgets it.
    """

    url: str
    ca_file: str | None = None
    sink: str = ""


_ABOUT = {"id": "chatcmpl-0123456789", "created": 1767225600, "model": MODEL}
_USAGE = {"prompt_tokens": 120, "completion_tokens": 64, "total_tokens": 184}


# As ordinary as what models write: a search is as fast as its text lets it skip.
_TEXT = "The quick brown fox jumps over the lazy dog, and the answer is as short as that. "


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def unary_answer(size_bytes: int = 1024) -> bytes:
    """A completion of exactly `size_bytes`."""

    def completion(content: str) -> bytes:
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return _json(_ABOUT | {"object": "chat.completion", "choices": [choice], "usage": _USAGE})

    left = size_bytes - len(completion(""))
    return completion((_TEXT * (left // len(_TEXT) + 1))[:left])


def stream_events(chunks: int) -> list[bytes]:
    """`chunks` events with a word each; the last of them ends the answer."""
    events = []
    for number in range(chunks):
        is_last = number == chunks - 1
        delta = {} if is_last else {"content": f" word{number}"}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if is_last else None}
        events.append(_event(choices=[choice], usage=None))
    return events


def usage_event() -> bytes:
    """What a provider adds for `stream_options.include_usage`."""
    return _event(choices=[], usage=_USAGE)


def stream_answer(chunks: int) -> bytes:
    """What a client gets that has not asked for the token counts."""
    return b"".join((*stream_events(chunks), b"data: [DONE]\n\n"))


def app_answer() -> bytes:
    """What the application says where no mesh is needed."""
    return b'{"status":"ok","from":"the application"}'


def chat_request(
    model: str,
    *,
    size_bytes: int,
    is_stream: bool,
    path: str = CHAT_PATH,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole HTTP request with a chat body of about `size_bytes`; `headers` replace its own."""
    body: dict[str, object] = {"model": model}
    if is_stream:
        body["stream"] = True
    body["messages"] = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Say something. " * (size_bytes // 15)},
    ]
    return _request("POST", path, LLM_HOST, _json(body), headers or {})


def app_request() -> bytes:
    """A whole HTTP request that is not for the mesh."""
    return _request("POST", "/orders", APP_HOST, b'{"order":1}')


def _event(**members: object) -> bytes:
    return b"data: " + _json(_ABOUT | {"object": "chat.completion.chunk"} | members) + b"\n\n"


def _request(
    method: str, path: str, host: str, body: bytes, headers: Mapping[str, str] | None = None
) -> bytes:
    fields = {
        "Host": host,
        "User-Agent": "benchmark/1.0",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "keep-alive",
        "Authorization": f"Bearer {CLIENT_KEY}",
        "X-Request-Id": "0123456789",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
