"""What may become of a field, and the judge of that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from llm_mesh_middleware._core.conversation.writing import DialectOptions
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects import (
    anthropic,
    bedrock,
    gemini,
    ollama,
    openai_chat,
    openai_responses,
)
from llm_mesh_middleware.exceptions import UnsupportedField

__all__ = [
    "PDF",
    "PNG",
    "SCHEMA",
    "SIDES",
    "SILENT",
    "URL",
    "WAV",
    "Dropped",
    "Outcome",
    "Refused",
    "Sent",
    "ask",
    "check",
]

SIDES: dict[str, Any] = {
    "chat": openai_chat.SIDES,
    "responses": openai_responses.SIDES,
    "messages": anthropic.SIDES,
    "gemini": gemini.SIDES,
    "bedrock": bedrock.DIALECT,
    "ollama": ollama.DIALECT,
}
PNG, PDF, WAV = "iVBORw0KGgo=", "JVBERi0=", "UklGRg=="
URL = "https://x.example/a.png"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@dataclass(frozen=True)
class Sent:
    """What the provider's request holds, at least."""

    members: Mapping[str, Any]


@dataclass(frozen=True)
class Dropped:
    """Left out, and named."""

    name: str


@dataclass(frozen=True)
class Refused:
    """Refused, by name."""

    name: str


@dataclass(frozen=True)
class Silent:
    """Left out without a word."""


Outcome = Sent | Dropped | Refused | Silent
SILENT = Silent()


def ask(client: str, members: Mapping[str, Any]) -> dict[str, Any]:
    hi = {"role": "user", "content": "Hi"}
    base: dict[str, dict[str, Any]] = {
        "chat": {"model": "m", "messages": [hi]},
        "messages": {"model": "m", "max_tokens": 9, "messages": [hi]},
        "responses": {"model": "m", "input": "Hi"},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    }
    return {**base[client], **members}


def written(client: str, provider: str, members: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    fields = decode_fields(json.dumps(ask(client, members)).encode())
    request = ClientRequest("POST", "/", Headers(()), fields=fields, operation=gemini.GENERATE)
    conversation = SIDES[client].read_request(request)
    made = SIDES[provider].write_request(conversation, DialectOptions(), model="m", streams=False)
    return json.loads(msgspec.json.encode(made.members)), made.dropped


def has(sent: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; lists are compared item by item, `...` is anything."""
    if isinstance(wanted, Mapping):
        return isinstance(sent, Mapping) and all(
            name in sent and has(sent[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(sent, list)
            and len(sent) == len(wanted)
            and all(has(one, other) for one, other in zip(sent, wanted, strict=True))
        )
    return wanted is ... or bool(sent == wanted)


def check(client: str, provider: str, members: Mapping[str, Any], outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        with pytest.raises(UnsupportedField) as raised:
            written(client, provider, members)
        assert outcome.name in str(raised.value.param)
        return
    sent, dropped = written(client, provider, members)
    if isinstance(outcome, Dropped):
        assert dropped == (outcome.name,), sent
        return
    assert dropped == ()
    if isinstance(outcome, Sent):
        assert has(sent, outcome.members), sent
    else:
        assert sent == written(client, provider, {})[0]
