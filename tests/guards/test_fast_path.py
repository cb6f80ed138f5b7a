"""The fast path of streams: it sends what a stream sends that decodes each event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from random import Random

from llm_mesh_middleware._core.guarding.events.stream import GuardedStream
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.outlines import BEGIN, WRITTEN, Outlines, of_text
from llm_mesh_middleware._core.guarding.placeholders import Placeholders
from llm_mesh_middleware._core.guarding.scanner import Scanner
from llm_mesh_middleware._core.guarding.window import Inspection
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


def streams(action: str, names: Sequence[str]) -> tuple[GuardedStream, GuardedStream]:
    guard = Guard(
        policy="default/p",
        name="g",
        scanner=Scanner.of_entities(names),
        action=action,  # type: ignore[arg-type]
        sides=frozenset(("response",)),
    )
    inspection = Inspection([guard], lambda *_: None, lambda _, entity, value: f"[{entity}]")
    dialect, _ = FORMS["chat"]
    return GuardedStream(dialect.texts, inspection), Reading(dialect.texts, inspection)


def event(text: str, random: Random, end: str) -> bytes:
    written = json.dumps(text, ensure_ascii=random.random() < 0.05)
    return f'data: {{"choices":[{{"delta":{{"content":{written}}},"index":0}}]}}{end}'.encode()


def fed(stream: GuardedStream, data: bytes) -> bytes | None:
    """Return what is sent, None if nothing more may be; without data the stream has ended."""
    try:
        return stream.feed(data) if data else stream.finish()
    except ContentBlocked:
        return None


@rows("names", SETS)
def test_every_event_is_sent_when_a_stream_that_reads_it_sends_it(names: tuple[str, ...]) -> None:
    random = Random(str(names))
    for action in ("mask", "deny", "log"):
        for end in ("\n\n", "\r\n\r\n"):
            at_a_glance, reading = streams(action, names)
            pieces = words(texts(random, names, 12), random)
            events = [event(each, random, end) for each in pieces]
            while events:
                count = random.choice((1, 1, 1, 2, 5))
                data, events = b"".join(events[:count]), events[count:]
                passed = fed(at_a_glance, data)

                assert passed == fed(reading, data), data
                assert at_a_glance.events == reading.events
                if passed is None:
                    break
            else:
                assert fed(at_a_glance, b"") == fed(reading, b"")


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
        at_a_glance, reading = (
            make(dialect.texts, inspection) for make in (GuardedStream, Reading)
        )
        for piece in words(text, random):
            data = event(piece, random, "\n\n")
            assert at_a_glance.feed(data) == reading.feed(data)
        assert at_a_glance.finish() == reading.finish()
