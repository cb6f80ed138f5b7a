"""A character that a provider cuts in two reaches clients of other dialects whole."""

from __future__ import annotations

import json

from llm_mesh_middleware._core.http.split_pairs import SplitPairs
from tests.rows import rows

FACE = "\N{GRINNING FACE}"


def joined(*events: str) -> list[str]:
    pairs = SplitPairs()
    return [pairs.join(event.encode()).decode() for event in events]


@rows(
    ("events", "texts"),
    [
        ([r'{"t":"a\ud83d"}', r'{"t":"\ude00b"}'], ["a", f"{FACE}b"]),
        ([r'{"t":"a\uD83D"}', r'{"t":"\uDE00"}'], ["a", FACE]),
        ([r'{"t":"a\ud83d"}', r'{"t":"x"}', r'{"t":"\ude00b"}'], ["a", "x", f"{FACE}b"]),
        ([r'{"t":"\ud83d\ude00\ud83d"}', r'{"t":"\ude00\ud83d"}'], [FACE, FACE]),
        ([r'{"t":"a\ud83d"}', r'{"t":"b"}'], ["a", "b"]),
        ([r'{"t":"\\ud83d"}', r'{"t":"\u00e9"}'], [r"\ud83d", "é"]),
        ([r'{"t":"\"\ud83d"}', r'{"t":"\ude00"}'], ['"', FACE]),
    ],
)
def test_halves_of_a_pair_meet(events: list[str], texts: list[str]) -> None:
    assert [json.loads(event)["t"] for event in joined(*events)] == texts


def test_an_event_without_escapes_is_the_same_object() -> None:
    data = f'{{"t":"{FACE}"}}'.encode()
    assert SplitPairs().join(data) is data


@rows("flood", ["\\", '"', r"\ud83d", r'\ud83d"', r"\\"])
def test_a_flood_is_one_pass(flood: str) -> None:
    data = (r"\u" + flood * 100_000).encode()
    pairs = SplitPairs()
    assert len(pairs.join(data)) <= len(data)
