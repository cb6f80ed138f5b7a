"""What recognisers find, and that a text in pieces is judged as the whole one is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from llm_mesh_middleware._core.guarding.finding import Recogniser
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.keywords import Keywords
from llm_mesh_middleware._core.guarding.patterns import Patterns
from llm_mesh_middleware._core.guarding.scanner import ENTITIES, Scanner
from llm_mesh_middleware._core.guarding.window import Inspection, Window, inspect
from tests.guards.corpus.labelled import corpus, score
from tests.guards.corpus.table import lines
from tests.rows import rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "guards.md"


def guard(scanner: Recogniser, action: str = "mask") -> Guard:
    sides = frozenset(("request", "response"))
    return Guard(policy="default/p", name="g", scanner=scanner, action=action, sides=sides)  # type: ignore[arg-type]


def inspection(*scanners: Recogniser) -> Inspection:
    guards = [guard(scanner) for scanner in scanners]
    return Inspection(guards, lambda each, entity: None, lambda each, entity, value: f"[{entity}]")


def masked_in_pieces(text: str, cuts: Sequence[int], inspected: Inspection) -> tuple[str, int]:
    """Return what is left of the pieces, and the most characters that were ever held."""
    window, pieces, held = Window(inspected), [], 0
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces.append((begin, text[begin:end]))
        window.feed(text[begin:end])
        held = max(held, window.size - window.decided)
    window.feed("", is_final=True)
    return "".join(window.left_of(begin, piece) for begin, piece in pieces), held


@rows("entity", ENTITIES)
def test_a_recogniser_finds_its_entity_and_not_what_looks_like_it(entity: str) -> None:
    texts = corpus(entity, seed=7)
    found = score(entity, texts)

    assert len(texts) >= 300
    assert found.precision >= 0.95
    assert found.recall >= 0.95


def test_the_documented_figures_are_those_of_the_corpus() -> None:
    assert "\n".join(lines()) in DOCUMENT.read_text()


@rows("entity", ENTITIES)
def test_a_text_in_pieces_is_masked_as_the_whole_one(entity: str) -> None:
    random, inspected = Random(entity), inspection(Scanner.of_entities(tuple(ENTITIES)))
    texts = [text for text, _ in corpus(entity, seed=7)]
    for _ in range(25):
        text = random.choice((" ", "", ", ")).join(random.choices(texts, k=random.randint(1, 3)))
        whole = inspect(text, inspected)
        one_by_one = range(1, len(text))
        some = sorted(random.sample(one_by_one, min(len(text) - 1, random.randint(0, 9))))

        assert masked_in_pieces(text, one_by_one, inspected)[0] == whole
        assert masked_in_pieces(text, some, inspected)[0] == whole


@rows("entity", ENTITIES)
def test_no_more_is_held_back_than_is_documented(entity: str) -> None:
    scanner = Scanner.of_entities((entity,))
    for char in ("a", "1", "-", "a@", "1 ", "+1", "(", ".", "é", "eyJa.", "a1:", "DE00 "):
        text = f"x {char * (5_000 // len(char))}"
        most = masked_in_pieces(text, range(50, len(text), 50), inspection(scanner))[1]
        assert most <= ENTITIES[entity]().longest


SETS = [tuple(ENTITIES), ("EMAIL", "CREDIT_CARD", "IBAN", "SECRET"), *((e,) for e in ENTITIES)]


@rows("entities", SETS)
def test_a_glance_overlooks_nothing_and_holds_back_no_more(entities: tuple[str, ...]) -> None:
    random, scanner = Random(str(entities)), Scanner.of_entities(entities)
    texts = [text for entity in ENTITIES for text, _ in corpus(entity, seed=7)]
    glances = 0
    for text in random.sample(texts, 60):
        end = begin = 0
        while end < len(text):
            end += random.choice((1, 1, 1, 2, 5, 12))
            here = text[:end]
            true = max(begin, scanner.held_from(here))
            held = scanner.clear_until(here, begin)
            if held >= 0:
                glances += 1
                assert max(begin, held) == true, here
                assert [each for each in scanner.find(here) if each.start >= begin] == [], here
            begin = true
    assert glances > 150


# What changes the meaning of a number or an address that stands directly behind or before it.
NEIGHBOURS = (
    "version ",
    "call me at ",
    "see https://a.example:",
    "x",
    "1",
    "+",
    "-",
    ".",
    "",
    "::",
)


@rows("entities", SETS)
def test_texts_that_are_looked_at_together_are_clear_only_if_each_is(
    entities: tuple[str, ...],
) -> None:
    random, scanner = Random(str(entities)), Scanner.of_entities(entities)
    labelled = [text for entity in ENTITIES for text, _ in corpus(entity, seed=7)]
    silent = [text for text in labelled if not scanner.find(text)]
    for _ in range(200):
        texts = random.choices(silent, k=random.randint(0, 3)) + random.choices(labelled)
        for neighbour in random.choices(NEIGHBOURS, k=2):
            texts.insert(random.randrange(len(texts) + 1), neighbour)

        assert scanner.is_clear(texts) == (not any(map(scanner.find, texts))), texts


@rows(
    ("recogniser", "text", "masked"),
    [
        (Keywords(["bluebird"], entity="K"), "a bluebird, Bluebird", "a [K], Bluebird"),
        (Keywords(["bluebird"], entity="K", ignore_case=True), "BLUEbirds", "[K]s"),
        (Keywords(["ab", "abc", "bcd"], entity="K"), "xabcd ab", "x[K]d [K]"),
        (Keywords(["straße"], entity="K", ignore_case=True), "İ STRAßE", "İ [K]"),
        (Patterns(["proj-[0-9]+"], entity="P", longest=20), "x proj-12 proj-", "x [P] proj-"),
        (Patterns([r"\bcat\b"], entity="P", longest=20), "cat concat cat", "[P] concat [P]"),
        (Patterns(["a+$"], entity="P", longest=20), "aab aa", "aab [P]"),
        (Patterns(["a{3}", "b"], entity="P", longest=20), "aaaab", "[P]a[P]"),
        (Patterns(["x*"], entity="P", longest=5), "xxxxxxxy", "[P][P]y"),
    ],
)
def test_words_and_patterns_are_found_whole_and_in_pieces(
    recogniser: Recogniser, text: str, masked: str
) -> None:
    inspected = inspection(recogniser)

    assert inspect(text, inspected) == masked
    assert masked_in_pieces(text, range(1, len(text)), inspected)[0] == masked
    for cut in range(1, len(text)):
        assert masked_in_pieces(text, [cut], inspected)[0] == masked


@rows("char", ["a", "1", "-", "a@", "1 ", "[", ".", "é", "中", "eyJa."])
def test_what_is_held_back_is_bounded(char: str) -> None:
    inspected = inspection(Scanner.of_entities(tuple(ENTITIES)))
    text = char * (12_000 // len(char))

    assert masked_in_pieces(text, range(100, len(text), 100), inspected)[1] <= 4200


@rows("text", ["Plain words. ", "今天天气很好，我们去公园吧。", "a = b[3]; "])
def test_complete_words_are_not_held_back(text: str) -> None:
    window = Window(inspection(Scanner.of_entities(tuple(ENTITIES))))
    window.feed(text)

    assert window.decided == len(text)


@rows(
    ("text", "masked"),
    [
        ('{"to": "a\\nb@example.com"}', '{"to": "a\\n[EMAIL]"}'),
        ('{"card": 4111111111111111}', '{"card": "[CREDIT_CARD]"}'),
        ('{"card": "4111111111111111"}', '{"card": "[CREDIT_CARD]"}'),
        ('{"a": "\\\\b@example.com"}', '{"a": "\\\\[EMAIL]"}'),
        ('{"a": "\\u00e9b@example.com"}', '{"a": "[EMAIL]"}'),
        ('{"a": "b\\u0040example.com"}', '{"a": "[EMAIL]"}'),
        ('{"a": "\\ud83d\\ude00 b\\u0040example.com\\n"}', '{"a": "\\ud83d\\ude00 [EMAIL]\\n"}'),
        ('{"a": "\\"b@example.com\\""}', '{"a": "\\"[EMAIL]\\""}'),
    ],
)
def test_a_mask_in_json_text_leaves_it_valid(text: str, masked: str) -> None:
    inspected = inspection(Scanner.of_entities(("EMAIL", "CREDIT_CARD")))

    assert inspect(text, inspected, is_json=True) == masked
    for cut in range(1, len(text)):
        window = Window(inspected, is_json=True)
        window.feed(text[:cut])
        window.feed(text[cut:], is_final=True)
        assert window.left_of(0, text[:cut]) + window.left_of(cut, text[cut:]) == masked
