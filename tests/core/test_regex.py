"""Linear-time full matching: the language, what is refused and how, the bounds, and threads."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mesh_middleware._core.routing.regex import MAX_MOVES, MAX_STATES, LinearPattern
from tests.rows import rows

LANGUAGE = [
    # pattern, values that match, values that do not
    ("", [""], ["a", "\n"]),
    ("abc", ["abc"], ["ab", "abcd", "xabc", "ABC", ""]),
    ("a.c", ["abc", "a☃c", "a\rc"], ["a\nc", "ac", "abbc"]),
    ("(?s)a.c", ["a\nc", "abc"], ["ac"]),
    ("(?s:a.)c.", ["a\ncx"], ["a\nc\n"]),
    ("[a-cx]", ["a", "b", "c", "x"], ["d", "", "ab", "-"]),
    ("[^a-c]", ["d", "\n", "é"], ["a", "b", ""]),
    ("[]a]", ["]", "a"], ["[", ""]),
    ("[^]a]", ["b"], ["]", "a"]),
    (r"[\]\[a-]", ["]", "[", "a", "-"], ["b", "\\"]),
    (r"[\d_]", ["5", "_"], ["a"]),
    (r"[^\D5]", ["4"], ["5", "a"]),
    (r"\d", ["0", "9"], ["a", "٣", ""]),
    (r"\D", ["a", "٣", "\n"], ["0", "9"]),
    (r"\w", ["a", "Z", "0", "_"], ["é", "-", " "]),
    (r"\W", ["é", "-", "\n"], ["a", "_"]),
    (r"\s", [" ", "\t", "\n", "\f", "\r"], ["\v", "\xa0", "a"]),
    (r"\S", ["\v", "\xa0", "a"], [" ", "\t"]),
    ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
    ("a|ab|abc", ["a", "ab", "abc"], ["b", "bc"]),
    ("(a)(?:b)(?P<name>c)", ["abc"], ["ab"]),
    ("(?:a|b)*c", ["c", "abbac"], ["ab", "ca"]),
    ("a*", ["", "aaa"], ["aab"]),
    ("a+?b??", ["a", "aab"], ["", "abb"]),
    ("(?:ab)?", ["", "ab"], ["a"]),
    ("a{2}", ["aa"], ["a", "aaa"]),
    ("a{2,}", ["aa", "aaaaa"], ["a"]),
    ("a{1,3}", ["a", "aaa"], ["", "aaaa"]),
    ("a{0}b", ["b"], ["ab"]),
    ("a{1000}", ["a" * 1000], ["a" * 999, "a" * 1001]),
    ("(a{10}){20}b{20}", ["a" * 200 + "b" * 20], ["a" * 200 + "b" * 19]),
    ("(?:a{0,2}){2}", ["", "a", "aaaa"], ["aaaaa"]),
    ("(" * 30 + "a" + ")+" * 30, ["a", "aaaa"], ["", "b"]),
    ("(?:|a)+", ["", "aa"], ["b"]),
    ("((((((((((a*)*)*)*)*)*)*)*)*)*)*b", ["b", "aab"], ["a"]),
    ("a{,b", ["a{,b"], ["ab"]),
    ("^a$", ["a"], ["a\n", "\na", "aa"]),
    ("(^a|b)c", ["ac", "bc"], ["aac", "c"]),
    ("x(^a|b)c", ["xbc"], ["xac", "ac"]),
    ("a$|b", ["a", "b"], ["a\n", "ab"]),
    ("(a$|ab)c?", ["a", "ab", "abc"], ["ac"]),
    ("a^b|a$b", [], ["ab", "a", "b"]),
    ("(?:^|,)*a(?:,|$)", ["a", "a,", ",,a"], ["xa", "ax"]),
    ("(?m)a$\n^b", ["a\nb"], ["ab", "a\n"]),
    (r"\Aa\Z", ["a"], ["a\n"]),
    (r"a\z", ["a"], ["a\n", "az"]),
    (r"\\z", [r"\z"], ["z"]),
    (r"\bgpt\b.*", ["gpt", "gpt-4"], ["gpt4", "gpt_"]),
    (r"a\Bb", ["ab"], ["a"]),
    (r"(?:\b|a)*b", ["b", "aab"], ["a"]),
    (r"\B", [""], ["a"]),
    ("(?i)GPT-[a-c]", ["gpt-B", "GpT-c"], ["gpt-d"]),
    ("(?i)[^k]", ["a"], ["k", "K", "\N{KELVIN SIGN}"]),
    ("(?i)straße", ["STRAẞE", "straße"], ["STRASSE"]),
    ("(?i)[à-é]", ["É", "é"], ["e"]),
    ("(?i)i", ["I"], ["ı", "İ"]),
    ("(?i:a)b", ["Ab", "ab"], ["AB"]),
    ("(?i)a(?-i:b)", ["Ab"], ["AB"]),
    ("(?x) a  b # [[ (?=\\\n a++ \n [#]", ["ab#"], ["ab", "a b"]),
    ("a#[b]", ["a#b"], ["a"]),
    ("(?# [[ )a", ["a"], [""]),
    (r"\.\*\x41\u00e9\101\0", [".*AéA\0"], ["..AéA\0"]),
    ("a--b&&c||d", ["a--b&&c", "d", ""], ["a"]),
    ("[+-]+", ["+-"], [","]),
    ("[*+]+", ["*+"], ["*+ "]),
    (r"a\++", ["a+", "a++"], ["a"]),
    ("(qwen|gpt)-.*", ["qwen-plus", "gpt-"], ["gpt", "xgpt-4", "gpt-\n"]),
    ("\ud800.", ["\ud800\udfff"], ["\ud800"]),
]


@rows(("pattern", "matching", "others"), LANGUAGE)
def test_a_pattern_matches_whole_values_and_only_those(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    compiled = LinearPattern(pattern)
    for _ in range(2):  # with an empty cache, then from the cache
        assert [value for value in matching + others if compiled.fullmatch(value)] == matching


REFUSED = [
    (r"(ab)x\1", r"back-reference \1 at position 5 cannot be matched in linear time"),
    (r"(a)\12", r"back-reference \12 at position 3 "),
    ("(?P<n>a)(?P=n)", "back-reference (?P=n) at position 8 "),
    ("a(?=b)", "look-around (?= at position 1 cannot be matched in linear time"),
    ("a(?!b)", "look-around (?! at position 1 "),
    ("(?<=a)b", "look-around (?<= at position 0 "),
    ("(?<!a)b", "look-around (?<! at position 0 "),
    ("a(?!)", "look-around (?! at position 1 "),
    ("(a)?(?(1)b|c)", "conditional (?( at position 4 "),
    ("(?>a+)b", "atomic group (?> at position 0 "),
    ("ba++", "possessive quantifier ++ at position 2 "),
    ("a*+", "possessive quantifier *+ at position 1 "),
    ("a?+", "possessive quantifier ?+ at position 1 "),
    ("a{1,2}+", "possessive quantifier {1,2}+ at position 1 "),
    ("a{,2}", "repetition {,2} at position 1 has no lower bound"),
    ("[[:alpha:]]", "character class [[:alpha:] at position 0 is ambiguous"),
    ("x[a[:digit:]]", "character class [a[:digit:] at position 1 is ambiguous"),
    ("[[]", "character class [[] at position 0 is ambiguous"),
    ("[^[a]", "character class [^[a] at position 0 is ambiguous"),
    ("[a--b]", "character class [a--b] at position 0 is ambiguous"),
    ("[a&&b]", "character class [a&&b] at position 0 is ambiguous"),
    ("[a||b]", "character class [a||b] at position 0 is ambiguous"),
    ("[a~~b]", "character class [a~~b] at position 0 is ambiguous"),
    ("(?x)#\n[[a]", "character class [[a] at position 6 is ambiguous"),
    ("(?u)a", "flags (?u) at position 0 are not supported"),
    ("(?a)a", "flags (?a) at position 0 are not supported"),
    ("(?x:a b)", "flags (?x: at position 0 are not supported"),
    ("(?U)a", "flags (?U) at position 0 are not supported"),
    ("a(?i)b", "global flags not at the start of the expression at position 1"),
    ("a{1001}", "repetition of 1001 times is too much; at most 1000"),
    ("a{1001,}", "repetition of 1001 times is too much; at most 1000"),
    ("a{0,1001}", "repetition of 1001 times is too much; at most 1000"),
    ("(a{11}b){91}", "repetition of 1001 times is too much; at most 1000"),
    ("(a{1000}){1000}", "repetition of 1000000 times is too much"),
    ("((((a{1000}){1000}){1000}){1000}){1000}", "repetition of 1000000 times is too much"),
    ("((((){1000}){1000}){1000}){1000}", "repetition of 1000000 times is too much"),
    ("a{99999999999}", "not a regular expression: "),
    ("a{1000}" * 5, "the pattern expands to more than 4000 parts"),
    ("a" * 4001, "the pattern expands to more than 4000 parts"),
    ("(" * 5000 + ")" * 5000, "nested too deeply"),
    ("(a", "missing ), unterminated subpattern at position 0"),
    ("a)", "unbalanced parenthesis at position 1"),
    ("[a", "unterminated character set at position 0"),
    ("*a", "nothing to repeat at position 0"),
    ("a**", "multiple repeat at position 2"),
    ("[b-a]", "bad character range b-a at position 1"),
    ("a\\", "bad escape (end of pattern) at position 1"),
    (r"\pL", r"bad escape \p at position 0"),
    (r"[\z]", r"bad escape \z at position 1"),
]


@rows(("pattern", "message"), REFUSED, ids=[row[0][:20] for row in REFUSED])
def test_what_is_not_supported_is_refused_and_says_where(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LinearPattern(pattern)


def _join(parts: list[tuple[str, str]], between: str = "") -> tuple[str, str]:
    return between.join(ours for ours, _ in parts), between.join(theirs for _, theirs in parts)


def _around(left: str, right: str, part: tuple[str, str]) -> tuple[str, str]:
    return f"{left}{part[0]}{right}", f"{left}{part[1]}{right}"


# Pairs: the pattern as we read it, and as `re` must be told to mean the same by `$`.
_ATOMS = [
    *((text, text) for text in ["", "a", "b", ".", "A", "[ab]", "[^a]", r"\w", r"\W", "[b\n]"]),
    *((text, text) for text in ["^", r"\A", r"\b", "(?m:^)", "(?m:$)", "(?s:.)", "(?i:a)"]),
    ("$", r"\Z"),
    (r"\z", r"\Z"),
]
_QUANTIFIERS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,}", "{1,3}?"]


def _larger(parts: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    return st.one_of(
        st.lists(parts, min_size=2, max_size=4).map(_join),
        st.lists(parts, min_size=2, max_size=3).map(
            lambda found: _around("(", ")", _join(found, "|"))
        ),
        st.builds(_around, st.just("(?:"), st.sampled_from(_QUANTIFIERS).map(")".__add__), parts),
        st.builds(_around, st.sampled_from(["(?i:", "(?P<n>", "(?-i:"]), st.just(")"), parts),
    ).filter(lambda pair: pair[0].count("?P<n>") < 2)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(st.sampled_from(_ATOMS), _larger, max_leaves=8),
    st.lists(st.text("abA\n-", max_size=6), min_size=1, max_size=12),
)
def test_it_agrees_with_the_standard_library_on_patterns_both_support(
    pair: tuple[str, str], values: list[str]
) -> None:
    ours, theirs = LinearPattern(pair[0]), re.compile(pair[1], re.ASCII)
    for value in values:
        assert ours.fullmatch(value) is bool(theirs.fullmatch(value)), (pair, value)


@settings(max_examples=150, deadline=None)
@given(st.text("ab[]^-&~|:\\(?)#ixzP<=!>*+{},12 \n", max_size=14), st.text("ab[]-&\n", max_size=4))
def test_any_text_is_either_refused_with_a_value_error_or_matched_as_by_the_standard_library(
    pattern: str, value: str
) -> None:
    try:
        compiled = LinearPattern(pattern)  # a warning would be an error here
    except ValueError:
        return
    matched = compiled.fullmatch(value)
    if not re.search(r"\\[zZ]", pattern):
        assert matched is bool(re.fullmatch(pattern, value, re.ASCII))


@settings(deadline=None)
@given(st.characters(), st.characters())
def test_ignoring_case_is_symmetric_and_includes_upper_and_lower(one: str, other: str) -> None:
    for char in (one, other):
        pattern = LinearPattern(f"(?i){re.escape(char)}")
        forms = [form for form in (char, char.lower(), char.upper()) if len(form) == 1]
        if char not in "ıİ":  # Turkish forms have no simple folding
            assert all(pattern.fullmatch(form) for form in forms)
    there = LinearPattern(f"(?i){re.escape(one)}").fullmatch(other)
    assert there is LinearPattern(f"(?i){re.escape(other)}").fullmatch(one)


@rows(
    ("pattern", "value", "expected"),
    [
        ("(a+)+b", "a" * 200_000, False),
        ("(a+)+b", "a" * 200_000 + "b", True),
        ("(.*a){20}", "a" * 200_000, True),
        ("(.*a){20}", "a" * 19 + "b" * 200_000, False),
        ("(a|a)*c", "a" * 200_000, False),
        (".*x.*y.*z", "xy" * 100_000, False),
        (".*x.*y.*z", "xy" * 100_000 + "z", True),
        ("(a?){500}a{500}", "a" * 1000, True),
        (r"(\w+\s?)*!", "word " * 40_000, False),
    ],
)
def test_patterns_that_explode_by_backtracking_finish_on_long_values(
    pattern: str, value: str, expected: bool
) -> None:
    compiled = LinearPattern(pattern)

    assert compiled.fullmatch(value) is expected
    assert compiled.cached[0] <= MAX_STATES


def test_each_state_is_worked_out_once_however_long_the_value_is() -> None:
    short, long = LinearPattern("(.*a){20}"), LinearPattern("(.*a){20}")

    assert short.fullmatch("ba" * 50)
    assert long.fullmatch("ba" * 50_000)
    assert long.cached == short.cached


def test_states_beyond_the_bound_are_dropped_and_answers_stay_right() -> None:
    compiled = LinearPattern("(a|b)*a(a|b){12}")  # 8192 deterministic states
    rng = random.Random(7)
    for _ in range(20):
        value = "".join(rng.choices("ab", k=500))
        assert compiled.fullmatch(value) is (value[-13] == "a")
        assert compiled.cached[0] <= MAX_STATES


def test_a_large_pattern_keeps_fewer_states() -> None:
    compiled = LinearPattern(".*a.{1000}")
    rng = random.Random(7)
    value = "".join(rng.choices("ab", k=1500))

    assert compiled.fullmatch(value) is (value[-1001] == "a")
    assert compiled.cached[0] <= 100


def test_ten_thousand_different_characters_do_not_grow_the_cache() -> None:
    compiled = LinearPattern("[^a]*a?")
    value = "".join(map(chr, range(0x10000, 0x10000 + 10_000)))

    assert compiled.fullmatch(value)
    assert compiled.fullmatch(value + "a")
    assert not compiled.fullmatch("a" + value)
    states, moves = compiled.cached
    assert moves <= states * MAX_MOVES
    assert states <= 4


def test_twenty_thousand_different_values_do_not_grow_the_cache() -> None:
    compiled = LinearPattern("user-[0-9]+(-(eu|us))?")

    for number in range(10_000):
        assert compiled.fullmatch(f"user-{number}-eu")
        assert not compiled.fullmatch(f"user-{number}-e{chr(0x4E00 + number)}")
    states, moves = compiled.cached
    assert states <= 20
    assert moves <= states * MAX_MOVES


def test_threads_share_one_pattern_while_its_cache_is_dropped_again_and_again() -> None:
    compiled = LinearPattern("(a|b)*a(a|b){10}")

    def run(seed: int) -> list[str]:
        rng = random.Random(seed)
        values = ["".join(rng.choices("ab", k=120)) for _ in range(15)]
        return [value for value in values if compiled.fullmatch(value) != (value[-11] == "a")]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(12))) == [[]] * 12
    assert compiled.cached[0] <= MAX_STATES + 8


def test_a_pattern_is_a_value() -> None:
    compiled = LinearPattern("a+")

    assert compiled.pattern == "a+"
    assert repr(compiled) == "LinearPattern(pattern='a+')"
    assert compiled.fullmatch("aa")
    assert compiled == LinearPattern("a+")
    assert hash(compiled) == hash(LinearPattern("a+"))
    assert compiled != LinearPattern("a*")
    with pytest.raises(AttributeError):
        compiled.pattern = "b"  # type: ignore[misc]


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_copies_match_the_same_and_start_with_an_empty_cache(
    twin: Callable[[LinearPattern], LinearPattern],
) -> None:
    compiled = LinearPattern("a(b|c)*")
    assert compiled.fullmatch("abcbc")

    again = twin(compiled)

    assert again == compiled
    assert again.cached == (0, 0)
    assert again.fullmatch("abcbc")
