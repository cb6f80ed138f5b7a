"""Guards behind a translation, whatever the provider speaks, in any pieces, to whatever client.

A value is told as a text, as the arguments of a call, and as a thought.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random

from llm_mesh_middleware._core.conversation.answer import (
    Delta,
    End,
    Finish,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolArguments,
    ToolEnd,
    ToolStart,
    Usage,
)
from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._core.guarding.events.stream import GuardedStream
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.scanner import ENTITIES, Scanner
from llm_mesh_middleware._core.guarding.window import Inspection
from tests.guards.test_streams import VALUES, cut, passed, passed_until_blocked
from tests.rows import rows
from tests.translation.dialect_table import DIALECTS, PAIRS, relay

STAMP = Stamp(1, "token", "m")
Pieces = Sequence[str]


def told_as_text(pieces: Pieces) -> list[Delta]:
    return [TextDelta(piece) for piece in pieces]


def told_as_arguments(pieces: Pieces) -> list[Delta]:
    texts = ('{"to": "', *pieces, '"}')
    begin = ToolStart(0, "call_1", "send")
    return [begin, *(ToolArguments(0, text) for text in texts), ToolEnd(0)]


def told_as_thought(pieces: Pieces) -> list[Delta]:
    return [*(ReasoningDelta(piece) for piece in pieces), TextDelta("Done.")]


TOLD: dict[str, Callable[[Pieces], list[Delta]]] = {
    "text": told_as_text,
    "arguments": told_as_arguments,
    "thought": told_as_thought,
}


def stream_of(provider: str, told: str, pieces: Pieces) -> bytes:
    """What a provider sends."""
    spoken = DIALECTS[provider]
    if spoken.told is not None:
        return spoken.told(told, pieces)
    writer = spoken.side.event_writer(spoken.side.read_request(spoken.request), STAMP)
    finish = Finish("tool_calls" if told == "arguments" else "stop")
    events = [Start("id", "m"), *TOLD[told](pieces), finish, Usage(1, 2), End()]
    return bytes(b"".join(writer.write([each]) for each in events))


def translated(client: str, provider: str, told: str, pieces: Pieces) -> bytes:
    one = relay(client, provider)
    out = one.feed(stream_of(provider, told, pieces)) + one.finish()
    assert one.error is None
    return out


def guarded(client: str, action: str) -> GuardedStream:
    guard = Guard(
        policy="default/p",
        name="g",
        scanner=Scanner.of_entities(tuple(ENTITIES)),
        action=action,  # type: ignore[arg-type]
        sides=frozenset(("response",)),
    )
    inspection = Inspection([guard], lambda *_: None, lambda _, entity, value: f"[{entity}]")
    return GuardedStream(DIALECTS[client].side.texts, inspection)


def said(data: bytes) -> str:
    """Every string of every event, in order, without what is between the pieces of one text."""
    found: list[str] = []
    for each in data.splitlines():
        if each.startswith(b"data: {"):
            pending = [json.loads(each[6:])]
            while pending:
                here = pending.pop()
                if isinstance(here, dict):
                    pending += reversed(list(here.values()))
                elif isinstance(here, list):
                    pending += reversed(here)
                elif isinstance(here, str):
                    found.append(here)
    return "\n".join(found)


def joined(data: bytes, names: frozenset[str]) -> str:
    """The pieces of texts, by the names of their members, put together."""
    found: list[str] = []
    for each in data.splitlines():
        if each.startswith(b"data: {"):
            pending = [json.loads(each[6:])]
            while pending:
                here = pending.pop(0)
                if isinstance(here, dict):
                    found += [
                        each
                        for name, each in here.items()
                        if name in names and isinstance(each, str)
                    ]
                    pending += here.values()
                elif isinstance(here, list):
                    pending += here
    return "".join(found)


NAMES = frozenset(
    ("content", "text", "delta", "arguments", "partial_json", "thinking", "reasoning_content")
)


@rows(("client", "provider"), PAIRS)
def test_a_value_in_any_pieces_never_reaches_the_client(client: str, provider: str) -> None:
    random = Random(f"{client} {provider}")
    for told in TOLD:
        entities = VALUES if told == "text" else ("EMAIL", "SECRET")
        for entity in entities:
            value = VALUES[entity]
            text = f"So, {value} it is"
            splits = [list(text), cut(text, random)] if told == "text" else [cut(text, random)]
            for pieces in splits:
                data = translated(client, provider, told, pieces)
                cuts = sorted(random.sample(range(1, len(data)), 3))
                out = passed(guarded(client, "mask"), data, cuts)

                assert value not in joined(out, NAMES)
                assert value not in said(out)
                assert f"[{entity}]" in joined(out, NAMES) or f"[{entity}]" in said(out)
                assert out.count(b"\n\n") == data.count(b"\n\n")
                left, is_blocked = passed_until_blocked(guarded(client, "deny"), data)
                assert is_blocked
                assert value[:5] not in joined(left, NAMES)


@rows(("client", "provider"), PAIRS)
def test_what_has_no_finding_keeps_its_bytes_and_its_events(client: str, provider: str) -> None:
    random = Random(f"{client} {provider}")
    for told in TOLD:
        for text in ("It is 5 o'clock at a@b, 12 km.", "好的，没有问题。", "Grüße " * 40):
            data = translated(client, provider, told, cut(text, random))
            for action in ("mask", "deny"):
                cuts = sorted(random.sample(range(1, len(data)), 5))
                assert passed(guarded(client, action), data, cuts) == data
