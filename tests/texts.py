"""Texts of any characters that UTF-8 can say, for tests of properties."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["texts"]

# Those that Hypothesis takes by itself are the same, found by encoding each there is: for seconds,
# in every process of a first run.
_CHARACTERS = st.characters(exclude_categories=["Cs"])


def texts(*, min_size: int = 0, max_size: int | None = None) -> st.SearchStrategy[str]:
    """Return a strategy of texts of so many characters."""
    return st.text(_CHARACTERS, min_size=min_size, max_size=max_size)
