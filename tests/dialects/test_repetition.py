"""Events of chat completions that repeat what was decoded, but for their text."""

from __future__ import annotations

import random

import pytest

from llm_mesh_middleware._dialects.openai_chat.facts import ChatFacts
from llm_mesh_middleware._dialects.openai_chat.repetition import Repetition
from tests.dialects.relaying import STOP, USAGE, delta, relay_of
from tests.rows import rows

LEARNT = delta("Hello")
TEXTS = ("", " world", "ä€🎈", 'say "no"', "a\\b", "two\nlines", "\t", "\\", '","', "}\n\ndata: {")


def repetition(event: bytes = LEARNT) -> Repetition:
    found = Repetition()
    found.learn(event)
    return found


@rows("text", TEXTS)
def test_an_event_with_any_other_text_is_recognised(text: str) -> None:
    assert repetition().count(delta(text)) == 1
    assert repetition(delta("x") + LEARNT).count(delta(text) * 3) == 3


def test_an_event_is_learnt_whose_text_has_escapes() -> None:
    for text in TEXTS[1:]:
        assert repetition(delta(text)).count(delta("a") + delta("b")) == 2


MODELS = ("m", "n")

BEGIN, END = LEARNT.split(b"Hello")
STRANGERS = (
    b"",
    BEGIN,
    END,
    BEGIN[:-1] + END,
    BEGIN + END[1:],
    BEGIN + b"half a" + END[:-1],
    BEGIN + b'a"' + END,
    BEGIN + b'a","b' + END,
    BEGIN + b'a"\n,"b' + END,
    BEGIN + b"a\\" + END,
    BEGIN + b"a\\" + END + BEGIN + b'b","c' + END,
    BEGIN + b'a"\n,"b' + END + BEGIN + b"c\\" + END,
    BEGIN + b"\xff" + END,
    BEGIN + b"\xed\xa0\x80" + END,
    BEGIN + b"line\nend" + END,
    BEGIN + b"line\rend" + END,
    BEGIN + b"nul\0" + END,
    BEGIN + b"\\x" + END,
    delta("a", index=1),
    delta("a", reason="stop"),
    delta("a", id="another"),
    LEARNT + STOP,
    STOP + LEARNT,
    LEARNT + USAGE + LEARNT,
    LEARNT + b": comment\n\n" + LEARNT,
)


@rows("data", STRANGERS)
def test_whatever_else_differs_is_not_recognised(data: bytes) -> None:
    assert repetition().count(data) == 0


def test_a_provider_whose_events_never_repeat_is_soon_learnt_no_further() -> None:
    found = Repetition()
    for number in range(16):
        found.learn(delta("a", id=f"{number}"))
    found.learn(delta("a", id="16"))

    assert found.count(delta("b", id="15")) == 1
    assert found.count(delta("b", id="16")) == 0


def test_facts_are_the_same_whether_events_repeat_or_are_decoded() -> None:
    draw = random.Random(7)
    for _ in range(50):
        events = [
            delta(draw.choice(TEXTS), id=draw.choice("ab"), model=draw.choice(MODELS))
            for _ in range(12)
        ]
        together, apart = ChatFacts(), ChatFacts()
        for event in events:
            assert together.read_deltas(event)
            apart.read(event[6:-2])
        assert together.summary() == apart.summary()


@pytest.mark.parametrize("size", [1, 7, 64, 333])
def test_a_stream_of_repeating_events_passes_however_it_is_cut(size: int) -> None:
    events = [delta(text, model="m") for text in TEXTS * 3]
    stream = b"".join([*events, STOP, b"data: [DONE]\n\n"])
    relay = relay_of()
    passed = b"".join(relay.feed(stream[at : at + size]) for at in range(0, len(stream), size))

    assert passed + relay.finish() == stream
    assert relay.error is None
    assert relay.events == len(events) + 1


def test_an_event_is_read_once_that_two_pieces_share() -> None:
    relay, event = relay_of(), delta("x")
    for cut in range(1, len(event)):
        before = relay.events
        passed = relay.feed(event[:cut]) + relay.feed(event[cut:] + event)
        assert passed == event * 2
        assert relay.events == before + 2


def test_a_first_piece_of_many_events_is_read_like_each_of_them() -> None:
    draw = random.Random(8)
    for _ in range(50):
        ids = draw.choice(("a", "ab"))
        events = [delta(draw.choice(TEXTS), id=draw.choice(ids), model="m") for _ in range(12)]
        together, apart = ChatFacts(), ChatFacts()
        assert together.read_deltas(b"".join(events))
        for event in events:
            apart.read(event[6:-2])
        assert together.summary() == apart.summary()
        assert not together.read_deltas(events[0] + STOP)
        assert together.events == len(events)


def test_events_without_a_model_do_not_take_back_what_named_one() -> None:
    facts = ChatFacts()
    for event in (
        delta("a", id="first"),
        delta("b", id="second", model="m"),
        delta("c", id="first"),
    ):
        assert facts.read_deltas(event)

    assert (facts.summary().id, facts.summary().model, facts.events) == ("second", "m", 3)
