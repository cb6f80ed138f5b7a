"""Patterns that are searched for only where a match can be."""

from __future__ import annotations

from random import Random

from llm_mesh_middleware._core.guarding.patterns import Patterns
from llm_mesh_middleware._core.guarding.prefilter import first_chars, required_literals
from llm_mesh_middleware._core.routing.automaton import parse
from llm_mesh_middleware._core.routing.regex import LinearPattern
from tests.rows import rows

PATTERNS = [
    *("proj-[0-9]+", "(?i)ignore (all|previous) rules", "[A-Z]{2,}[0-9]{4}", r"\bheron\b"),
    *(".*heron.*", "(?i)heron", "a+$", "^ab", "x*", "(a|b)?c", "[^a]b", "(?i)[^a]b", "(?s).a"),
    *(r"\d{3}-\d{2}", r"\w+@\w+", "(?i)straße", "(?i)ß", "(?i)k", "(?i)s[kK]", "(foo|bar)+baz"),
    *("(?:ab){2,3}", r"[\]a-]x", "(?i:ab)C", r"\S+z", "é", "(?i)É", "(?m)^b$", "a|", "(?i)İ"),
    *(r"\W1", r"[^\n]*z", "[\\^x]", r"[a\-]b"),
]
WORDS = [
    *("heron", "HERON", "proj-12", "ignore all rules", "Ignore previous rules", "AB1234", "123-45"),
    *("foobarbaz", "abab", "straße", "STRASSE", "a@b", "ſk", "K", "-b", "^"),
]
CHARS = "abcABC xyz019-@.\n]^éÉßſKkKsSİi herongpoj"


@rows("pattern", PATTERNS)
def test_nothing_is_overlooked(pattern: str) -> None:
    random, linear = Random(pattern), LinearPattern(pattern)
    longest = random.choice((4, 20, 64))
    patterns = Patterns([pattern], entity="P", longest=longest)
    for _ in range(40):
        text = "".join(
            random.choice(WORDS) if random.random() < 0.2 else random.choice(CHARS)
            for _ in range(random.randint(0, 30))
        )
        for is_final in (True, False):
            ends = [
                (start, linear.match_at(text, start, longest, is_final=is_final))
                for start in range(len(text))
            ]
            found = [(each.start, each.end) for each in patterns.find(text, is_final=is_final)]
            assert found == [(start, end) for start, (end, _) in ends if end > start], text
        held = patterns.held_from(text)
        assert held == next((start for start, (_, goes_on) in ends if goes_on), len(text))
        begin = random.randint(0, held)  # what is held has not been decided
        quiet = patterns.clear_until(text, begin)
        if quiet >= 0:
            assert quiet == held
            assert not [start for start, end in found if begin <= start < quiet]


@rows(
    ("pattern", "texts"),
    [
        ("proj-[0-9]+", ["proj-"]),
        ("(?i)Ignore (all|previous) rules", ["ignore "]),
        ("x?(alpha|be(ta|eta))", ["alpha", "be"]),
        ("(alpha|b*)c", ["c"]),
        ("(ab)*", []),
        (r"\bheron\b", ["heron"]),
        ("[ab]", []),
    ],
)
def test_what_a_match_needs(pattern: str, texts: list[str]) -> None:
    assert [*required_literals(parse(pattern)[0])] == texts


@rows(
    ("pattern", "expected"),
    [
        ("[a-c]+d?", "abc"),
        ("x*y", "xy"),
        ("(?i)q", "qQ"),
        (r"[\]^-]", "]^-"),
        ("^a|b", "ab"),
    ],
)
def test_what_a_match_begins_with(pattern: str, expected: str) -> None:
    begins = first_chars(LinearPattern(pattern).begins())

    assert begins is not None
    every = "".join(map(chr, range(128)))
    assert set(begins.findall(every)) == set(expected)


def test_a_match_that_may_begin_with_anything_has_no_beginning() -> None:
    assert first_chars(LinearPattern("[^a]b").begins()) is None
