"""Every field of a request, from each dialect of a client to each of a provider.

A row is one field and what becomes of it: sent, dropped by its name, dropped without a word as
nobody sees its effect, or refused by its name.
"""

from __future__ import annotations

from tests.rows import rows
from tests.translation.fields.of_chat import CHAT
from tests.translation.fields.of_images import IMAGES
from tests.translation.fields.of_others import TO_CHAT
from tests.translation.fields.outcomes import check

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


@rows("client, field, provider", [(*row, name) for row in IMAGES for name in IMAGES[row][1]])
def test_what_becomes_of_images_that_were_made(client: str, field: str, provider: str) -> None:
    members, outcomes = IMAGES[client, field]
    check(client, provider, members, outcomes[provider])
