"""Odd requests of every client, as providers are sent them; the vendors' own types judge them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from typing import Any

from llm_mesh_middleware._core.conversation.writing import DialectOptions
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields, encode_fields
from llm_mesh_middleware.exceptions import UnsupportedField
from tests.rows import rows
from tests.translation.dialect_table import DIALECTS
from tests.translation.odd_requests import ASKED, SENT

# Not every provider reads them.
DOCUMENTS = "documents of one name"
ALL = [
    (client, name, provider) for client in ASKED for name in ASKED[client] for provider in DIALECTS
]


@dataclass(frozen=True)
class Asked:
    """What a provider is sent."""

    path: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def sent(client: str, name: str, provider: str) -> Asked:
    speaks, spoken = DIALECTS[client], DIALECTS[provider]
    fields = decode_fields(json.dumps(ASKED[client][name]).encode())
    request = ClientRequest(
        "POST", speaks.provider.path, Headers(()), fields=fields, operation=speaks.operation
    )
    written = spoken.side.write_request(
        speaks.side.read_request(request), DialectOptions(), model="m", streams=False
    )
    return Asked(spoken.provider.path, encode_fields(written.members))


@rows("client, name, provider", [row for row in ALL if row[0] != row[2]])
def test_an_odd_request_is_one_that_the_provider_takes(
    client: str, name: str, provider: str
) -> None:
    try:
        asked = sent(client, name, provider)
    except UnsupportedField:
        if name != DOCUMENTS:
            raise
        return
    DIALECTS[provider].provider.judge(asked)  # type: ignore[arg-type]


@rows("client, name, provider, place, value", SENT)
def test_what_is_sent(
    client: str, name: str, provider: str, place: tuple[str | int, ...], value: Any
) -> None:
    assert reduce(lambda one, key: one[key], place, sent(client, name, provider).json()) == value
