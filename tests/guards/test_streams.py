"""Events as guards let them pass, in every dialect, however they are cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.placeholders import Placeholders
from llm_mesh_middleware._core.guarding.scanner import ENTITIES, Scanner
from llm_mesh_middleware._core.guarding.stream import GuardedStream
from llm_mesh_middleware._core.guarding.window import Inspection
from llm_mesh_middleware._dialects.anthropic.dialect import DIALECT as ANTHROPIC
from llm_mesh_middleware._dialects.openai_chat.dialect import DIALECT as CHAT
from llm_mesh_middleware._dialects.openai_responses.dialect import DIALECT as RESPONSES
from llm_mesh_middleware.exceptions import ContentBlocked

Pieces = Sequence[str]


def event(data: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(', ', ':  '))}\n\n".encode()


def chat(pieces: Pieces) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})

    texts = [chunk({"content": piece}) for piece in pieces]
    usage = event({"id": "c", "choices": [], "usage": {"total_tokens": 3}})
    start = chunk({"role": "assistant", "content": ""})
    return [start, b": wait\n\n", *texts, chunk({}, "stop"), usage, b"data: [DONE]\n\n"]


def chat_arguments(pieces: Pieces) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def call(function: dict[str, Any]) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "function": function}]}

    start = chunk(call({"name": "send", "arguments": ""}))
    texts = [chunk(call({"arguments": piece})) for piece in ('{"to": "', *pieces, '"}')]
    return [start, *texts, chunk({}, "tool_calls"), b"data: [DONE]\n\n"]


def anthropic(pieces: Pieces) -> list[bytes]:
    def named(data: dict[str, Any]) -> bytes:
        return event(data, data["type"])

    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    deltas = [
        named(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }
        )
        for piece in pieces
    ]
    ends = [{"type": "content_block_stop", "index": 0}, {"type": "message_delta"}]
    return [named(block), *deltas, *map(named, ends), named({"type": "message_stop"})]


def responses(pieces: Pieces) -> list[bytes]:
    def named(kind: str, **members: Any) -> bytes:
        return event({"type": kind, "output_index": 0, "content_index": 0, **members}, kind)

    deltas = [named("response.output_text.delta", delta=piece) for piece in pieces]
    whole = "".join(pieces)
    item = {"type": "message", "content": [{"type": "output_text", "text": whole}]}
    return [
        *deltas,
        named("response.output_text.done", text=whole),
        named("response.output_item.done", item=item),
        named("response.completed", response={"output": [item]}),
    ]


FORMS: dict[str, tuple[Dialect, Callable[[Pieces], list[bytes]]]] = {
    "chat": (CHAT, chat),
    "arguments": (CHAT, chat_arguments),
    "anthropic": (ANTHROPIC, anthropic),
    "responses": (RESPONSES, responses),
}
VALUES = {
    "EMAIL": "anna.b@example.com",
    "CREDIT_CARD": "4111 1111 1111 1111",
    "IBAN": "DE89370400440532013000",
    "PHONE": "+49 30 1234567",
    "SECRET": "sk-abcDEF123456789012345678",
    "IP_ADDRESS": "192.0.2.17",
}


def guarded(dialect: Dialect, action: str, values: Placeholders | None = None) -> GuardedStream:
    scanner = Scanner.of_entities(tuple(ENTITIES))
    guard = Guard(
        policy="default/p",
        name="g",
        scanner=scanner,
        action=action,  # type: ignore[arg-type]
        sides=frozenset(("response",)),
    )
    guards = [guard] if action else []
    inspection = Inspection(guards, lambda *_: None, lambda _, entity, value: f"[{entity}]", values)
    return GuardedStream(dialect.texts, inspection)


def passed(stream: GuardedStream, data: bytes, cuts: Sequence[int]) -> bytes:
    out = b""
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        out += stream.feed(data[begin:end])
    return out + stream.finish()


def passed_until_blocked(stream: GuardedStream, data: bytes) -> tuple[bytes, bool]:
    out = b""
    try:
        for begin in range(0, len(data), 11):
            out += stream.feed(data[begin : begin + 11])
        return out + stream.finish(), False
    except ContentBlocked:
        return out, True


def cut(text: str, random: Random) -> list[str]:
    cuts = sorted(random.sample(range(1, len(text)), random.randint(0, min(9, len(text) - 1))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize("form", FORMS)
def test_events_without_a_finding_keep_their_bytes(form: str) -> None:
    random, (dialect, make) = Random(form), FORMS[form]
    for text in ("It is 5 o'clock at a@b, 12 km.", "好的，没有问题。", "x " * 300):
        data = b"".join(make(cut(text, random)))
        assert passed(guarded(dialect, "mask"), data, range(1, len(data))) == data
        assert passed(guarded(dialect, "deny"), data, []) == data


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("entity", VALUES)
def test_a_value_split_over_events_at_any_place_is_masked(form: str, entity: str) -> None:
    random, (dialect, make), value = Random(form), FORMS[form], VALUES[entity]
    text = f"So, {value} it is"
    splits = [list(text), *([text[:at], text[at:]] for at in range(1, len(text)))]
    splits += [cut(text, random) for _ in range(10)]
    for pieces in splits:
        data = b"".join(make(pieces))
        out = passed(guarded(dialect, "mask"), data, [len(data) // 2])

        assert out.count(b"\n\n") == data.count(b"\n\n")
        joined = text_of(out)
        assert value not in joined
        assert f"[{entity}]" in joined
        assert joined.replace(f"[{entity}]", value) == text_of(data)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("entity", VALUES)
def test_a_denied_value_is_never_sent(form: str, entity: str) -> None:
    dialect, make = FORMS[form]
    for at in range(1, len(VALUES[entity])):
        value = VALUES[entity]
        data = b"".join(make(["So, ", value[:at], value[at:], " it is"]))
        out, is_blocked = passed_until_blocked(guarded(dialect, "deny"), data)

        assert is_blocked
        assert value[:at] not in text_of(out)


@pytest.mark.parametrize("form", FORMS)
def test_placeholders_become_their_values_again(form: str) -> None:
    dialect, make = FORMS[form]
    values = Placeholders(b"")
    placeholder = values.of("EMAIL", 'a"b@example.com')
    text = f"Write to {placeholder} or [EMAIL_7]."
    for at in range(1, len(text)):
        data = b"".join(make([text[:at], text[at:]]))
        out = text_of(passed(guarded(dialect, "", values), data, []))
        value = 'a\\"b@example.com' if form == "arguments" else 'a"b@example.com'

        assert out == text_of(data).replace(placeholder, value)


def test_complete_words_are_sent_at_once() -> None:
    stream = guarded(CHAT, "mask")
    for each in chat(["Good ", "morning, ", "all. "]):
        assert stream.feed(each) == each


def test_choices_are_told_apart() -> None:
    def chunk(index: int, text: str) -> bytes:
        return event({"choices": [{"index": index, "delta": {"content": text}}]})

    data = b"".join(
        chunk(index, text)
        for index, text in ((0, "anna@exam"), (1, "x@"), (0, "ple.com "), (1, "y is no address "))
    )
    out = passed(guarded(CHAT, "mask"), data, [])

    assert b"[EMAIL]" in out
    assert b"anna" not in out
    assert b"y is no address" in out


def text_of(data: bytes) -> str:
    """Return the deltas of a stream, and the complete texts behind them, one after another."""
    found = []
    for each in data.split(b"\n\n"):
        _, _, body = each.partition(b"data: ")
        if not body.startswith(b"{"):
            continue
        value = json.loads(body)
        for choice in value.get("choices", ()):
            delta = choice["delta"]
            found.append(delta.get("content") or "")
            found += [call["function"]["arguments"] for call in delta.get("tool_calls", ())]
        delta = value.get("delta")
        found.append(delta.get("text", "") if isinstance(delta, dict) else delta or "")
        found.append(value.get("text", ""))
        item = value.get("item") or {"content": []}
        found += [part["text"] for part in item["content"]]
    return "".join(found)
