"""Events as guards let them pass, in every dialect, however they are cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

import pytest

from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._core.guarding.events.stream import GuardedStream
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.placeholders import Placeholders
from llm_mesh_middleware._core.guarding.scanner import ENTITIES, Scanner
from llm_mesh_middleware._core.guarding.window import Inspection
from llm_mesh_middleware._core.policy.guards.bodies import guarded_response
from llm_mesh_middleware.exceptions import ContentBlocked
from tests.guards.forms import ARGUMENTS, FORMS, cut, event, text_of
from tests.rows import rows

VALUES = {
    "EMAIL": "anna.b@example.com",
    "CREDIT_CARD": "4111 1111 1111 1111",
    "IBAN": "DE89370400440532013000",
    "PHONE": "+49 30 1234567",
    "SECRET": "sk-abcDEF123456789012345678",
    "IP_ADDRESS": "192.0.2.17",
}


def guard(action: str) -> Guard:
    return Guard(
        policy="default/p",
        name="g",
        scanner=Scanner.of_entities(tuple(ENTITIES)),
        action=action,  # type: ignore[arg-type]
        sides=frozenset(("response",)),
    )


def guarded(dialect: Dialect, action: str, values: Placeholders | None = None) -> GuardedStream:
    guards = [guard(action)] if action else []
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


def passed_in(pieces: Sequence[bytes], stream: GuardedStream) -> tuple[bytes, bool]:
    out = b""
    try:
        for piece in pieces:
            out += stream.feed(piece)
        return out + stream.finish(), False
    except ContentBlocked:
        return out + stream.released, True


@rows("form", FORMS)
def test_events_without_a_finding_keep_their_bytes(form: str) -> None:
    random, (dialect, make) = Random(form), FORMS[form]
    for text in ("It is 5 o'clock at a@b, 12 km.", "好的，没有问题。", "x " * 300):
        data = b"".join(make(cut(text, random)))
        assert passed(guarded(dialect, "mask"), data, range(1, len(data))) == data
        assert passed(guarded(dialect, "deny"), data, []) == data


@rows("form", FORMS)
@rows("entity", VALUES)
def test_a_value_split_over_events_at_any_place_is_masked(form: str, entity: str) -> None:
    random, (dialect, make), value = Random(form), FORMS[form], VALUES[entity]
    text = f"So, {value} it is"
    # Every place over all forms of a stream; the text is the same, so that each has its share.
    share = range(1 + list(FORMS).index(form) % 2, len(text), 2)
    splits = [list(text), *([text[:at], text[at:]] for at in share)]
    splits += [cut(text, random) for _ in range(5)]
    for pieces in splits:
        data = b"".join(make(pieces))
        out = passed(guarded(dialect, "mask"), data, [len(data) // 2])

        assert out.count(b"\n\n") == data.count(b"\n\n")
        joined = text_of(out)
        assert value not in joined
        assert f"[{entity}]" in joined
        assert joined.replace(f"[{entity}]", value) == text_of(data)


@rows("form", FORMS)
@rows("entity", VALUES)
def test_a_denied_value_is_never_sent(form: str, entity: str) -> None:
    dialect, make = FORMS[form]
    for at in range(1, len(VALUES[entity])):
        value = VALUES[entity]
        data = b"".join(make(["So, ", value[:at], value[at:], " it is"]))
        out, is_blocked = passed_until_blocked(guarded(dialect, "deny"), data)

        assert is_blocked
        assert value[:at] not in text_of(out)


@rows("form", FORMS)
def test_placeholders_become_their_values_again(form: str) -> None:
    dialect, make = FORMS[form]
    values = Placeholders(b"")
    placeholder = values.of("EMAIL", 'a"b@example.com')
    text = f"Write to {placeholder} or [EMAIL_7]."
    for at in range(1, len(text)):
        data = b"".join(make([text[:at], text[at:]]))
        out = text_of(passed(guarded(dialect, "", values), data, []))
        value = 'a\\"b@example.com' if form in ARGUMENTS else 'a"b@example.com'

        assert out == text_of(data).replace(placeholder, value)


@rows("form", FORMS)
def test_events_that_come_one_by_one_are_treated_as_all_at_once(form: str) -> None:
    random, (dialect, make) = Random(form), FORMS[form]
    texts = [f'Say "hi"\n to {each} now. Or 12 {each}, \\o/ é?' for each in VALUES.values()]
    for text in (*texts, "\\u0040 is no sign, a\u2028b is 1\t2 "):
        events = make(cut(text, random))
        for action in ("mask", "deny"):
            apart, is_blocked = passed_in(events, guarded(dialect, action))
            together, is_blocked_too = passed_in([b"".join(events)], guarded(dialect, action))

            assert is_blocked == is_blocked_too == (action == "deny" and text in texts)
            assert apart == together


@rows(
    "member",
    [
        b'"content":"a","name":"%s"',
        b'"content":"a","content":"%s"',
        b'"content":"a"},"extra":{"x":"%s"',
        b'"content":"a\\"%s"',
        b'"content": "%s"',
        b'"refusal":"%s"',
    ],
)
def test_an_event_that_only_looks_like_those_before_it_is_read(member: bytes) -> None:
    around = b'data: {"choices":[{"index":0,"delta":{%s},"finish_reason":null}]}\n\n'
    stream = guarded(FORMS["chat"][0], "mask")
    for word in (b"Good ", b"morning ", b"to "):
        assert stream.feed(around % (b'"content":"%s"' % word))
    out = stream.feed(around % (member % b"anna@example.com")) + stream.finish()

    assert b"anna" not in out
    assert b"[EMAIL]" in out


def test_complete_words_are_sent_at_once() -> None:
    stream = guarded(FORMS["chat"][0], "mask")
    for each in FORMS["chat"][1](["Good ", "morning, ", "all. "]):
        assert stream.feed(each) == each


def test_choices_are_told_apart() -> None:
    def chunk(index: int, text: str) -> bytes:
        return event({"choices": [{"index": index, "delta": {"content": text}}]})

    data = b"".join(
        chunk(index, text)
        for index, text in ((0, "anna@exam"), (1, "x@"), (0, "ple.com "), (1, "y is no address "))
    )
    out = passed(guarded(FORMS["chat"][0], "mask"), data, [])

    assert b"[EMAIL]" in out
    assert b"anna" not in out
    assert b"y is no address" in out


@rows("form", sorted(ARGUMENTS))
def test_a_value_hidden_by_escapes_is_masked(form: str) -> None:
    dialect, make = FORMS[form]
    text = "to anna\\u0040example.com\\n"
    for at in range(1, len(text)):
        data = b"".join(make([text[:at], text[at:]]))
        out = text_of(passed(guarded(dialect, "mask"), data, []))

        assert out == text_of(data).replace("anna\\u0040example.com", "[EMAIL]")


@pytest.mark.parametrize("form", ["reasoning", "completions"])
def test_the_tokens_of_a_masked_text_are_dropped(form: str) -> None:
    dialect, make = FORMS[form]
    data = b"".join(make(["Hello ", "anna", "@exam", "ple.com", " and ", "on"]))
    out = passed(guarded(dialect, "mask"), data, [])

    assert b"anna" not in out
    assert b"@exam" not in out
    assert b"Hello" in out.partition(b"logprobs")[2]  # those of other texts are kept


def test_a_whole_response_loses_the_tokens_of_what_is_masked() -> None:
    message = {"role": "assistant", "content": "anna@example.com"}
    logprobs = {"content": [{"token": "anna", "bytes": [97], "top_logprobs": []}]}
    body = json.dumps({"choices": [{"message": message, "logprobs": logprobs}]}).encode()
    inspection = Inspection([guard("mask")], lambda *_: None, lambda _, entity, value: "[X]")

    left = json.loads(guarded_response(body, FORMS["chat"][0], inspection))

    assert left == {"choices": [{"message": {**message, "content": "[X]"}, "logprobs": None}]}


@rows(
    ("form", "value"),
    [
        ("chat", {"note": "anna@example.com", "choices": []}),
        ("chat", {"choices": [{"index": 0, "delta": {}, "note": "anna@example.com"}]}),
        (
            "responses",
            {"type": "response.output_text.delta", "delta": "x", "n": "anna@example.com"},
        ),
        ("anthropic", {"type": "ping", "note": "anna@example.com"}),
        ("gemini", {"candidates": [], "note": "anna@example.com"}),
    ],
)
def test_a_text_in_an_unknown_member_of_an_event_is_masked(form: str, value: object) -> None:
    out = passed(guarded(FORMS[form][0], "mask"), event(value), [])

    assert b"anna" not in out
    assert b"[EMAIL]" in out
