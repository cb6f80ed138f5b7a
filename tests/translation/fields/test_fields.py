"""Every field of a request, from each dialect of a client to each of a provider.

A row is one field and what becomes of it: sent, dropped by its name, dropped without a word as
nobody sees its effect, or refused by its name.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware._core.conversation.writing import DialectOptions
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects import gemini
from llm_mesh_middleware.exceptions import UnsupportedField
from tests.rows import rows
from tests.translation.fields.of_chat import CHAT
from tests.translation.fields.of_others import TO_CHAT
from tests.translation.fields.outcomes import SIDES, ask, check

_PROVIDERS = ("messages", "gemini", "bedrock", "responses")


@rows("field, provider", [(field, provider) for field in CHAT for provider in _PROVIDERS])
def test_what_becomes_of_a_field_of_chat(field: str, provider: str) -> None:
    members, *outcomes = CHAT[field]
    check("chat", provider, members, outcomes[_PROVIDERS.index(provider)])


_OTHERS = [(client, field) for client, fields in TO_CHAT.items() for field in fields]


@rows("client, field", _OTHERS)
def test_what_becomes_of_a_field_of_another_client(client: str, field: str) -> None:
    members, outcome = TO_CHAT[client][field]
    check(client, "chat", members, outcome)


@pytest.mark.parametrize("client", ["chat", "gemini"])
def test_several_choices_are_refused_for_a_stream(client: str) -> None:
    asked: dict[str, dict[str, Any]] = {
        "chat": {"n": 2, "stream": True},
        "gemini": {"generationConfig": {"candidateCount": 2}},
    }
    fields = decode_fields(json.dumps(ask(client, asked[client])).encode())
    request = ClientRequest(
        "POST", "/", Headers(()), fields=fields, operation=gemini.STREAM, query="alt=sse"
    )
    conversation = SIDES[client].read_request(request)
    other = SIDES["gemini" if client == "chat" else "chat"]
    with pytest.raises(UnsupportedField, match="stream"):
        other.write_request(conversation, DialectOptions(), model="m", streams=True)
