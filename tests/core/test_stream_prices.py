"""The cost of streams to the nano-unit: whole ones, and ones that their client has left."""

from __future__ import annotations

import json
from fractions import Fraction

from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects import (
    anthropic,
    bedrock,
    gemini,
    openai_chat,
    openai_responses,
)
from tests.clouds import frames
from tests.core.test_prices import (
    UPSTREAM,
    Reader,
    Sum,
    chat,
    contents,
    converse,
    messages,
    responses,
)
from tests.rows import rows

Object = dict[str, object]


def of_events(dialect: Dialect, *events: Object) -> Usage:
    """The token counts that events tell of, of those that have come."""
    facts = dialect.facts()
    for event in events:
        facts.read(json.dumps(event).encode(), str(event.get("type", "")).encode())
    assert facts.usage is not None
    return facts.usage


def of_chat(usage: Object) -> Usage:
    said = {"id": "a", "choices": [{"index": 0, "delta": {"content": "a"}}]}
    dialect = openai_chat.CHAT.dialect
    return of_events(dialect, said, {"id": "a", "choices": [], "usage": usage})


def of_growing_chat(usage: Object) -> Usage:
    """Of a provider that counts in each event."""
    first: Object = {"id": "a", "choices": [], "usage": chat(1, 1)}
    return of_events(openai_chat.CHAT.dialect, first, {**first, "usage": usage})


def of_responses(usage: Object) -> Usage:
    response = {"id": "a", "object": "response", "status": "completed", "usage": usage}
    return of_events(openai_responses.DIALECT, {"type": "response.completed", "response": response})


def of_messages(usage: Object) -> Usage:
    """The start counts what was given, the end what was made."""
    start = {"type": "message_start", "message": {"usage": usage | {"output_tokens": 1}}}
    made = {"output_tokens": usage["output_tokens"]}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": made}
    return of_events(anthropic.MESSAGES.dialect, start, end)


def of_left_messages(usage: Object) -> Usage:
    """The client leaves after a word."""
    start = {"type": "message_start", "message": {"usage": usage}}
    delta = {"type": "text_delta", "text": "a"}
    word = {"type": "content_block_delta", "index": 0, "delta": delta}
    return of_events(anthropic.MESSAGES.dialect, start, word)


def of_contents(usage: Object) -> Usage:
    first: Object = {"candidates": [], "usageMetadata": {"promptTokenCount": 1}}
    return of_events(gemini.DIALECT, first, {**first, "usageMetadata": usage})


def of_converse(usage: Object) -> Usage:
    reader = bedrock.DIALECT.event_reader(Stamp(0, ""))
    events = [
        frames.event("messageStart", {"role": "assistant"}),
        frames.event("messageStop", {"stopReason": "end_turn"}),
        frames.event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    ]
    deltas = [*reader.feed(b"".join(events)), *reader.finish()]
    return next(delta for delta in deltas if isinstance(delta, Usage))


INPUT, READ, WRITTEN, OUTPUT = "3", "0.30", "3.75", "15"
CASES: list[tuple[Reader, str, Object, Sum]] = [
    (of_chat, "plain", chat(1000, 500), [(1000, "2.50"), (500, "10")]),
    (
        of_chat,
        "cached",
        chat(2006, 300, inputs={"cached_tokens": 1920}),
        [(86, INPUT), (1920, READ), (300, OUTPUT)],
    ),
    (
        of_chat,
        "thinks",
        chat(50, 40, outputs={"reasoning_tokens": 25}),
        [(50, "0.3"), (15, "0.6"), (25, "3")],
    ),
    (of_growing_chat, "tiered", chat(200_001, 10), [(200_001, "2.50"), (10, "15")]),
    (of_responses, "cached", responses(75, 100, 64), [(11, INPUT), (64, READ), (100, OUTPUT)]),
    (
        of_responses,
        "thinks",
        responses(75, 100, 0, 60),
        [(75, "0.3"), (40, "0.6"), (60, "3")],
    ),
    (
        of_messages,
        "cached",
        messages(50, 503, 9, 7),
        [(50, INPUT), (9, READ), (7, WRITTEN), (503, OUTPUT)],
    ),
    (of_left_messages, "cached", messages(50, 1, 9), [(50, INPUT), (9, READ), (1, OUTPUT)]),
    (
        of_contents,
        "thinks",
        contents(10, 20, 4, 30),
        [(6, "0.3"), (4, "0.12"), (20, "0.6"), (30, "3")],
    ),
    (of_contents, "tiered", contents(200_001, 1), [(200_001, "2.50"), (1, "15")]),
    (
        of_converse,
        "cached",
        converse(10, 20, 400, 50),
        [(10, INPUT), (400, READ), (50, WRITTEN), (20, OUTPUT)],
    ),
    (of_converse, "flat", converse(10, 20), [(10, "1"), (20, "5"), (1, "5000")]),
]


@rows(("read", "model", "usage", "parts"), CASES)
def test_a_stream_costs_the_sum_of_its_parts(
    read: Reader, model: str, usage: Object, parts: Sum
) -> None:
    exact = sum((tokens * Fraction(price) * 1000 for tokens, price in parts), Fraction(0))
    price = UPSTREAM.prices.find(model)
    assert price is not None
    assert price.amount(read(usage)) == int(exact + Fraction(1, 2))
