"""What generated requests and answers of all dialects are made of."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import strategies as st

from tests.texts import texts as any_texts

__all__ = [
    "URL",
    "Members",
    "base64",
    "calls",
    "counts",
    "efforts",
    "floats",
    "joined",
    "names",
    "optional",
    "schemas",
    "texts",
    "whole",
]

Members = st.SearchStrategy[dict[str, Any]]
URL = "https://x.example/a.png"


texts = any_texts(min_size=1, max_size=20).filter(lambda text: text.strip() == text)
names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
_ids = names.map(lambda name: f"call_{name}")
base64 = st.sampled_from(["", "iVBORw0KGgo=", "AAAA", "//77"]).filter(bool)
_scalars = st.none() | st.booleans() | st.integers(-9, 9) | texts
_arguments = st.dictionaries(texts, st.recursive(_scalars, st.lists, max_leaves=4), max_size=3)
schemas = st.dictionaries(names, st.sampled_from([{"type": "string"}, {"type": "integer"}])).map(
    lambda properties: {"type": "object", "properties": properties}
)
efforts = st.sampled_from(["minimal", "low", "medium", "high", "xhigh"])
floats = st.sampled_from([0, 0.25, 0.5, 1])
counts = st.integers(1, 9999)
whole = json.dumps


def joined(*strategies: Members) -> Members:
    """All members of all."""
    return st.tuples(*strategies).map(lambda made: {k: v for one in made for k, v in one.items()})


def optional(**members: st.SearchStrategy[Any]) -> Members:
    """Any of the members, each or not."""
    return st.fixed_dictionaries({}, optional=members)


def calls(*, at_most: int = 3) -> st.SearchStrategy[list[tuple[str, str, dict[str, Any], str]]]:
    """Calls with ids of their own, and what each returns."""
    one = st.tuples(_ids, names, _arguments, texts)
    return st.lists(one, min_size=1, max_size=at_most, unique_by=lambda call: call[0])
