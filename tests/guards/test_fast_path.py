"""The fast path of streams: it sends what a stream sends that decodes each event."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._core.guarding.events.stream import GuardedStream
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.outlines import BEGIN, WRITTEN, Outlines, of_text
from llm_mesh_middleware._core.guarding.placeholders import Placeholders
from llm_mesh_middleware._core.guarding.scanner import Scanner
from llm_mesh_middleware._core.guarding.window import Inspection
from llm_mesh_middleware._core.texts import EventTexts, TextForm
from llm_mesh_middleware.exceptions import ContentBlocked
from tests.guards.corpus.labelled import corpus
from tests.guards.forms import FORMS
from tests.guards.test_recognisers import SETS
from tests.rows import rows

PROSE = (
    "Two offers, 1,299.00 EUR for 24 months and 1.049,50 for 18. See section 4.2. ",
    'Grüße aus Köln – „schön“, naïve café; 12 °C, 5\u00a0km. "So," he said.\n\n\t- a_b\\c ',
    "好的，没有问题。今天 12 月 3 日，我们去公园吧。 Привет, мир! 👋🏽 ",
    "for (let i = 0; i < 10; i++) { x[i] = 'a@b' + i; } // 192.0 sk-learn +1 (2) ",
    "a-b-c-d 1 2 3 4 5 6 7 8 9 0 tel. 0 1 2 AB12 34 x..y//z ",
)


class Reading(GuardedStream):
    """A stream that decodes every event, and searches every text."""

    uses_templates = False


@cache
def labelled_texts(entity: str) -> tuple[str, ...]:
    return tuple(text for text, _ in corpus(entity, seed=11))


def texts(random: Random, names: Sequence[str], count: int) -> str:
    """Prose, and here and there something to find or what looks like it."""
    labelled = random.choice(labelled_texts(random.choice(names)))
    pieces = random.choices((*PROSE, *PROSE, labelled), k=count)
    return "".join(pieces)


def words(text: str, random: Random) -> list[str]:
    """A text in pieces as models write it, and some odd ones."""
    pieces, at = list[str](), 0
    while at < len(text):
        end = at + random.choice((1, 2, 3, 4, 5, 6, 9, 30))
        pieces.append(text[at:end])
        at = end
    return pieces


def streams(dialect: Dialect, names: Sequence[str], action: str = "mask") -> list[GuardedStream]:
    guard = Guard(
        policy="default/p",
        name="g",
        scanner=Scanner.of_entities(names),
        action=action,  # type: ignore[arg-type]
        sides=frozenset(("response",)),
    )
    inspection = Inspection([guard], lambda *_: None, lambda _, entity, value: f"[{entity}]")
    return [make(dialect.texts, inspection) for make in (GuardedStream, Reading)]


def chat(text: str, number: int, random: Random) -> str:
    return f'{{"choices":[{{"delta":{{"content":{text}}},"index":0}}]}}'


def chat_as_openai_sends_it(text: str, number: int, random: Random) -> str:
    filler = "".join(random.choices("abcXYZ019", k=random.randint(1, 9)))
    made = f'"created": {1767225600 + number // 7}, "model": "gpt-4.1"'
    return f'{{{made}, {chat(text, number, random)[1:-1]},"obfuscation": "{filler}"}}'


def responses(text: str, number: int, random: Random) -> str:
    filler = "".join(random.choices("abcXYZ019", k=random.randint(1, 9)))
    return (
        f'{{"type":"response.output_text.delta","sequence_number":{number},"item_id":"m_1",'
        f'"output_index":0,"content_index":0,"delta":{text},"obfuscation":"{filler}"}}'
    )


def gemini(text: str, number: int, random: Random) -> str:
    counts = f'"promptTokenCount":8,"candidatesTokenCount":{number},"totalTokenCount":{number + 8}'
    parts = f'{{"content":{{"parts":[{{"text":{text}}}],"role":"model"}},"index":0}}'
    more = f'"usageMetadata":{{{counts}}},"modelVersion":"gemini-2.5","responseId":"a"'
    return f'{{"candidates":[{parts}],{more}}}'


def anthropic(text: str, number: int, random: Random) -> str:
    delta = f'{{"type":"text_delta","text":{text}}}'
    return f'{{"type":"content_block_delta","index":0,"delta":{delta}}}'


KINDS: dict[str, tuple[str, Callable[[str, int, Random], str]]] = {
    "chat": ("chat", chat),
    "openai": ("chat", chat_as_openai_sends_it),
    "responses": ("responses", responses),
    "gemini": ("gemini", gemini),
    "anthropic": ("anthropic", anthropic),
}


def events_of(kind: str, pieces: Sequence[str], random: Random, end: str = "\n\n") -> list[bytes]:
    made = list[bytes]()
    for number, piece in enumerate(pieces):
        written = json.dumps(piece, ensure_ascii=random.random() < 0.05)
        made.append(f"data: {KINDS[kind][1](written, number, random)}{end}".encode())
    return made


def fed(stream: GuardedStream, data: bytes) -> bytes | None:
    """Return what is sent, None if nothing more may be; without data the stream has ended."""
    try:
        return stream.feed(data) if data else stream.finish()
    except ContentBlocked:
        return None


@rows("names", SETS[:2])
@rows("kind", KINDS)
def test_every_event_is_sent_when_a_stream_that_reads_it_sends_it(
    kind: str, names: tuple[str, ...]
) -> None:
    random, (dialect, _) = Random(f"{kind} {names}"), FORMS[KINDS[kind][0]]
    for action, end in (("mask", "\n\n"), ("deny", "\r\n\r\n"), ("log", "\n\n")):
        fast, reading = streams(dialect, names, action)
        events = events_of(kind, words(texts(random, names, 7), random), random, end)
        while events:
            count = random.choice((1, 1, 1, 2, 5))
            data, events = b"".join(events[:count]), events[count:]
            passed = fed(fast, data)

            assert passed == fed(reading, data), data
            assert fast.events == reading.events
            if passed is None:
                break
        else:
            assert fed(fast, b"") == fed(reading, b"")


class Reads:
    """The texts of a dialect; counts the events that were decoded to find them."""

    def __init__(self, texts: TextForm) -> None:
        self._texts = texts
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._texts, name)

    def read_event(self, value: Any) -> EventTexts:
        self.count += 1
        return self._texts.read_event(value)


@rows("kind", KINDS)
def test_few_events_are_decoded(kind: str) -> None:
    random, (dialect, _) = Random(kind), FORMS[KINDS[kind][0]]
    fast, _ = streams(dialect, ("EMAIL", "SECRET"))
    fast._texts = reads = Reads(dialect.texts)  # type: ignore[assignment]
    data = events_of(kind, [f" {word}" for word in PROSE[0].split() * 20], random)
    out = b"".join(map(fast.feed, data)) + fast.finish()

    assert out == b"".join(data)
    assert reads.count <= 12  # with those that are read to learn a template


@rows("member", ["index", "name"])
def test_what_tells_texts_apart_is_not_a_slot(member: str) -> None:
    fast, reading = streams(FORMS["chat"][0], ("EMAIL",))
    for number, text in enumerate(
        ("Good ", "morning ", "an", "na@exa", "mple.", "com ", "x ", "y ")
    ):
        choice = {"index": 0, "delta": {"content": text}, member: number % 2}
        if member == "name":
            choice["name"] = f"a{number}"  # an unknown string is a text
        data = f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
        assert fast.feed(data) == reading.feed(data)
    assert fast.finish() == reading.finish()


@rows("names", SETS)
def test_an_outline_is_judged_as_each_of_its_texts_or_left_to_a_closer_look(
    names: tuple[str, ...],
) -> None:
    random, scanner, outlines = Random(str(names)), Scanner.of_entities(names), 0
    for _ in range(150):
        text = texts(random, names, 3)
        begin = random.randrange(len(text))
        end = min(len(text), begin + random.randrange(1, 40))
        here = text[:end]
        left = scanner.outlines.judge(of_text(here, begin))
        if left:
            outlines += 1
            assert left == of_text(here, scanner.clear_until(here, begin)), (here, begin)
    assert outlines > 50


@rows("byte", range(256))
def test_a_string_of_json_has_an_outline_unless_it_is_not_what_it_says(byte: int) -> None:
    written = bytes((byte,)).translate(WRITTEN)
    is_itself = 0x20 <= byte < 0x80 and chr(byte) not in '"\\'

    assert (written == of_text(chr(byte), 0)[len(BEGIN) :]) == is_itself
    assert written.isascii() == is_itself


def test_what_is_remembered_is_bounded() -> None:
    outlines = Outlines(lambda text, begin: len(text))
    for number in range(10_000):
        outlines.judge(b"\n" + b"a" * (number % 100) + b"%o" % number)
    assert len(outlines.known) <= 4096
    assert max(map(len, outlines.known)) <= 48


def test_placeholders_become_values_again_between_events_that_pass_at_a_glance() -> None:
    random, (dialect, _) = Random(3), FORMS["chat"]
    values = Placeholders(b"")
    name = values.of("EMAIL", "anna@example.com")
    inspection = Inspection([], lambda *_: None, lambda *_: "", values)
    for _ in range(40):
        text = f"{random.choice(PROSE)}to {name} and [EMAIL_7], {random.choice(PROSE)}"
        fast, reading = (make(dialect.texts, inspection) for make in (GuardedStream, Reading))
        for data in events_of("chat", words(text, random), random):
            assert fast.feed(data) == reading.feed(data)
        assert fast.finish() == reading.finish()
