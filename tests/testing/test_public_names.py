"""The package shows what it documents."""

from __future__ import annotations

import doctest

from llm_mesh_middleware import testing


def test_all_is_sorted_and_every_name_is_documented() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    for name in set(testing.__all__) - {"Scripted"}:  # an alias has no docstring of its own
        assert getattr(testing, name).__doc__, name


def test_the_example_in_the_docstring_runs() -> None:
    results = doctest.testmod(testing, optionflags=doctest.ELLIPSIS)

    assert (results.failed, results.attempted) == (0, 3)
