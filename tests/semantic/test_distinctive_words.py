"""What must be the same in two texts before one response may answer both."""

from __future__ import annotations

import sys

import pytest

from llm_mesh_middleware._core.caching.semantic.distinctive_words import distinctive_words
from llm_mesh_middleware._core.caching.semantic.similarity import cosine
from tests.semantic.provider import embedded

# Each pair asks for different responses, though hardly a letter differs.
OPPOSITES = [
    ("How do I turn the light on?", "How do I turn the light off?"),
    ("Is the shop open today?", "Is the shop closed today?"),
    ("What is 17+25?", "What is 17+26?"),
    ("Convert 100 USD to EUR", "Convert 100 EUR to USD"),
    ("What happened in March?", "What happened in May?"),
    ("Where is order 48213?", "Where is order 48231?"),
    ("Who is taller?", "Who is shorter?"),
    ("When was Tom born?", "When was Tim born?"),
    ("Tom's birthday", "Tim's birthday"),
    ("Is it safe?", "Is it not safe?"),
    ("Does it work?", "Doesn't it work?"),
    ("Should I use a proxy?", "Should I never use a proxy?"),
    ('Translate "yes please"', 'Translate "yes, please"'),
    ("What does `a + b` mean?", "What does `a - b` mean?"),
    ("Summarise https://a.example/x", "Summarise https://a.example/y"),
    ("flights to Paris from Rome", "flights from Paris to Rome"),
    ("a lease of 5 days", "a lease of 5 weeks"),
    ("a lease of five days", "a lease of six days"),
    ("Who founded the firm?", "When was the firm founded?"),
    ("delete file_a", "delete file_b"),
    ("Ist das gut?", "Ist das nicht gut?"),
    ("今天冷吗", "今天不冷吗"),
    ("如何打开文件", "如何关闭文件"),
    ("解释「网格」", "解释「网关」"),
]
ALIKE = [
    ("What is a service mesh?", "what's a service mesh"),
    ("Please explain what a mesh is.", "what is a mesh"),
    ("Tell me about the weather in Berlin.", "the weather of Berlin please"),
    ("How do I open a file in Python?", "how can I open files with Python"),
    ("Convert 5 km.", "Please convert 5 km"),
    ("It's done. Explain the mesh.", "done; explain a mesh"),
    ("Don’t stop", "don't stop"),
    ("Can I eat it, I'd ask", "can we eat it"),
]


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_a_difference_that_matters_is_seen(one: str, other: str) -> None:
    assert distinctive_words(one) != distinctive_words(other)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_other_words_for_the_same_are_none(one: str, other: str) -> None:
    assert distinctive_words(one) == distinctive_words(other)


def test_vectors_alone_do_not_see_the_difference() -> None:
    alike = [cosine(embedded(one), embedded(other)) for one, other in OPPOSITES[:8]]
    assert max(alike) == 1.0  # the order of words
    assert sum(each > 0.8 for each in alike) >= 4


@pytest.mark.parametrize("text", ["", " \n", "x" * 4001])
def test_an_empty_or_a_long_text_has_no_likeness(text: str) -> None:
    assert distinctive_words(text) is None


@pytest.mark.parametrize("piece", ['"', "“", "`", "'a ", "```", "1", "1-", "$+", "x", "A.", "一"])
def test_work_grows_with_the_text_and_no_faster(piece: str) -> None:
    def work(text: str) -> int:
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            distinctive_words(text)
        finally:
            sys.setprofile(None)
        return calls

    short = piece * (1900 // len(piece))
    assert work(short * 2) < 2.2 * work(short) + 50
