"""A relay without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterable

from llm_mesh_middleware._core.dialect import Dialect, WholeAnswer
from llm_mesh_middleware._core.http.decoding import BodyDecoder
from llm_mesh_middleware._dialects import openai_chat
from llm_mesh_middleware._dialects.openai_chat.facts import without_usage
from llm_mesh_middleware._dialects.same.relay import EventRelay
from llm_mesh_middleware.testing import token_usage
from tests.canaries import canary
from tests.core.tables import ACME, provider, table, upstream_of

KEY = canary("relay")
UPSTREAM = upstream_of(table(provider(openai=f"{{apiKey: {KEY}}}")), ACME)


DONE = b"data: [DONE]\n\n"
LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def event(**members: object) -> bytes:
    return b"data: " + json.dumps({"id": "c", **members}).encode() + b"\n\n"


def delta(text: str = "x", *, index: int = 0, reason: str | None = None, **more: object) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return event(choices=[choice], **more)


COUNTS = token_usage(7, 3)
USAGE = event(choices=[], usage=COUNTS)


STOP = delta("", reason="stop")


def relay_of(
    *, drops_usage: bool = True, coding: str | None = None, dialect: Dialect = openai_chat.DIALECT
) -> EventRelay:
    decoder = BodyDecoder(coding, 1 << 20) if coding else None
    return EventRelay(
        UPSTREAM,
        dialect,
        refuse=lambda body: WholeAnswer(502, [], body),
        strip_usage=without_usage if drops_usage else None,
        decoder=decoder,
    )


def relayed(pieces: Iterable[bytes], relay: EventRelay | None = None) -> bytes:
    """What the client gets for a stream that ends after `pieces`, as a driver would ask for it."""
    relay = relay or relay_of()
    got = []
    for piece in pieces:
        got.append(relay.feed(piece))
        if relay.error is not None:
            break
    return b"".join([*got, relay.finish()])
