"""Labelled texts for each entity, generated: with the entity, without, and with what looks like it.

half the texts    a value: 6 of 7 as people usually write it, 1 of 7 as few do
the other half    a look-alike, 1 of 7 of those that are hard to tell, or prose
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple

from llm_mesh_middleware._core.guarding.scanner import Scanner
from tests.guards.corpus.generators import GENERATORS
from tests.guards.corpus.hard import HARD

__all__ = ["Labelled", "Score", "corpus", "score"]

_FEW = 240  # texts of either kind for each entity
_HARD = 1 / 7


class Labelled(NamedTuple):
    """A text and the values of one entity in it."""

    text: str
    values: tuple[str, ...]


class Score(NamedTuple):
    """Counts of values: found and meant, found but not meant, meant but not found."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)


_SENTENCES = (
    "Please use {} for this.",
    "My details: {}, thank you",
    "{}",
    "The customer wrote: “{}”. What now?",
    '{{"note": "{}", "count": 3}}',
    "| name | {} |",
    "Ist das richtig: {}?",
    "请联系{}谢谢",
    "one\n{}\ntwo",
    "({})",
    "Is it {} or not",
    "value={}; next",
    "See {}!",
)
_PROSE = (
    "The meeting moved from 10:30 to 14:15 on 2026-03-14.",
    "It costs $1,299.00, that is 12.5 % more than in 2025.",
    "for i in range(10): print(i ** 2)",
    "Chapter 3.2.1 explains std::vector and std::map.",
    "We shipped 4,200 units in 12 weeks; see table 7.",
    "Rührei mit Käse, 3 Eier, 200 g Mehl.",
    "今天天气很好，我们去公园吧。",
    "SELECT id FROM orders WHERE total > 100;",
)


@cache
def corpus(entity: str, *, seed: int = 1) -> tuple[Labelled, ...]:
    """Return the texts for an entity: half of them with a value, half without."""
    random = Random(f"{entity}{seed}")
    values, likes = GENERATORS[entity]
    hard_values, hard_likes = HARD[entity]
    texts = []
    for _ in range(_FEW):
        value = random.choice(hard_values) if random.random() < _HARD else values(random)
        sentence = random.choice(_SENTENCES)
        if entity == "PHONE" and value.startswith(("0", "(0")):
            sentence = random.choice(("Phone: {}", "my tel. {} please", "call me on {} today"))
        texts.append(Labelled(sentence.format(value), (value,)))
    for _ in range(_FEW):
        drawn = random.random()
        like = random.choice(_PROSE)
        if drawn < _HARD:
            like = random.choice(hard_likes)
        elif drawn < 0.8:
            like = likes(random)
        texts.append(Labelled(random.choice(_SENTENCES).format(like), ()))
    return tuple(texts)


def score(entity: str, texts: Sequence[Labelled]) -> Score:
    """Return how well the recogniser of an entity does."""
    recogniser, right, wrong, missed = Scanner.of_entities((entity,)), 0, 0, 0
    for text, values in texts:
        found, end = set(), 0
        for each in recogniser.find(text):
            if each.start >= end:  # what is inside another finding is masked with it
                found.add(text[each.start : each.end])
                end = each.end
        right += len(found & set(values))
        wrong += len(found - set(values))
        missed += len(set(values) - found)
    return Score(right, wrong, missed)
