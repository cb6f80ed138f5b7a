"""Labelled pairs of texts, and the hits that a semantic cache would make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..._core.caching.semantic.distinctive_words import distinctive_words
from ..._core.caching.semantic.similarity import Vector, cosine
from ...exceptions import ConfigError, Problem

__all__ = ["THRESHOLDS", "Judged", "Pair", "Rates", "judge", "rates_at", "read_pairs"]

THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two last messages; `same` says whether one response may answer both."""

    a: str
    b: str
    same: bool


class Judged(msgspec.Struct, frozen=True):
    """A pair, its cosine, and whether its numbers, names and negations are equal."""

    pair: Pair
    similarity: float
    has_same_content: bool


class Rates(msgspec.Struct, frozen=True):
    """The hits at one threshold.

    `hits` counts pairs that mean the same, `false_hits` the others; `by_vectors` counts the false
    hits without the comparison of content.
    """

    threshold: float
    hits: int
    false_hits: int
    by_vectors: int


_decode = msgspec.json.Decoder(Pair).decode


def read_pairs(path: Path) -> list[Pair]:
    """Return the pairs of a file with one JSON object in each line.

    Raises:
        ConfigError: a line is not a pair (all such lines are listed), or there is no pair.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        problem = Problem(str(path), 0, 0, "", f"cannot be read: {exc.strerror or exc}")
        raise ConfigError([problem]) from None
    pairs, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            pairs.append(_decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            message = f'must be {{"a": text, "b": text, "same": true or false}}: {exc}'
            problems.append(Problem(str(path), number, 1, "", message))
    if not (pairs or problems):
        problems.append(Problem(str(path), 0, 0, "", "has no pairs"))
    if problems:
        raise ConfigError(problems)
    return pairs


def judge(pairs: Sequence[Pair], vectors: Mapping[str, Vector]) -> list[Judged]:
    """Compare the texts of each pair as the cache does."""
    return [
        Judged(
            pair,
            cosine(vectors[pair.a], vectors[pair.b]),
            (content := distinctive_words(pair.a)) is not None
            and content == distinctive_words(pair.b),
        )
        for pair in pairs
    ]


def rates_at(threshold: float, judged: Sequence[Judged]) -> Rates:
    """Count the hits at a threshold."""
    near = [each for each in judged if each.similarity >= threshold]
    hits = [each for each in near if each.has_same_content]
    return Rates(
        threshold,
        sum(each.pair.same for each in hits),
        sum(not each.pair.same for each in hits),
        sum(not each.pair.same for each in near),
    )
