"""JSON in pieces: what it stands for, and where that is written."""

from __future__ import annotations

import json
from random import Random

import pytest

from llm_mesh_middleware._core.guarding.json_text import JSONText, plain_text
from llm_mesh_middleware._core.guarding.keywords import Keywords
from llm_mesh_middleware._core.guarding.patterns import Patterns
from llm_mesh_middleware._core.guarding.window import Window, inspect
from llm_mesh_middleware.exceptions import ContentBlocked
from tests.guards.test_recognisers import inspection
from tests.rows import rows

CHARACTERS = 'aé"\\\n\t/ß好😀\u2028 {}:,0'


def written(random: Random) -> tuple[str, str]:
    """Return JSON of random strings, and what it stands for."""
    texts = ["".join(random.choices(CHARACTERS, k=random.randint(0, 9))) for _ in range(4)]
    encoded = [json.dumps(text, ensure_ascii=random.random() < 0.5) for text in texts]
    return "[" + ",".join(encoded) + "]", "[" + ",".join(f'"{text}"' for text in texts) + "]"


def cuts_of(text: str, random: Random) -> list[str]:
    cuts = sorted(random.sample(range(len(text) + 1), random.randint(0, min(9, len(text)))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_it_is_the_same_however_it_is_cut() -> None:
    random = Random(1)
    for _ in range(300):
        text, plain = written(random)
        assert plain_text(text) == plain
        pieces = JSONText()
        found = "".join(map(pieces.feed, cuts_of(text, random))) + pieces.feed("", is_final=True)
        one_by_one = JSONText()
        assert "".join(map(one_by_one.feed, text)) + one_by_one.feed("", is_final=True) == plain
        assert found == plain
        assert pieces.size == len(plain)


def test_a_place_leads_back_to_where_it_is_written() -> None:
    random = Random(2)
    for _ in range(100):
        text, plain = written(random)
        whole = JSONText()
        whole.feed(text, is_final=True)
        for at in range(len(plain)):
            begin, end = whole.written(at), whole.written(at + 1)
            assert plain_text(text[begin:end]) == plain[at]
        assert whole.written(len(plain)) == len(text)


def test_parts_are_told_apart_also_when_earlier_places_are_forgotten() -> None:
    whole = JSONText()
    whole.feed('{"a\\"b": "c\\u00e9"},' * 100)
    again = JSONText()
    again.feed('{"a\\"b": "c\\u00e9"},' * 100)
    again.forget(whole.size - 40)
    begin = whole.size - 20

    parts = list(whole.parts(begin, whole.size))
    assert parts == list(again.parts(begin, whole.size))
    assert [is_inside for *_, is_inside in parts].count(True) >= 2
    assert again.written(whole.size) == whole.written(whole.size)


@rows("text", ["\\", "\\u", "\\u12", "\\uzzzz", '"\\ud83d', '"\\ud83d\\u0041"', "\\x"])
def test_what_is_no_escape_is_kept(text: str) -> None:
    cut = JSONText()
    plain = "".join(map(cut.feed, text)) + cut.feed("", is_final=True)

    assert plain == plain_text(text)
    assert cut.written(cut.size) == len(text)


def test_a_word_hidden_by_escapes_is_found_in_pieces() -> None:
    text = '{"city": "Stra\\u00dfe \\u0062luebird", "n": 1}'
    inspected = inspection(Keywords(["straße", "bluebird"], entity="K", ignore_case=True))
    for at in range(1, len(text)):
        window = Window(inspected, is_json=True)
        window.feed(text[:at])
        window.feed(text[at:])
        window.feed("", is_final=True)
        left = window.left_of(0, text[:at]) + window.left_of(at, text[at:])
        assert json.loads(left) == {"city": "[K] [K]", "n": 1}


def test_a_mask_across_the_structure_leaves_it_valid() -> None:
    across = inspection(Patterns(["key.*end"], entity="P", longest=60))
    text = '{"my key": "a", "b": "the end"}'

    assert json.loads(inspect(text, across, is_json=True)) == {"my [P]": "[P]", "[P]": "[P]"}


def test_a_mask_of_the_structure_is_refused() -> None:
    structure = inspection(Patterns(["true"], entity="P", longest=9))
    with pytest.raises(ContentBlocked):
        inspect('{"a": true}', structure, is_json=True)
