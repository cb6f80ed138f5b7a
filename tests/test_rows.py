"""A table in one test runs every row and names those that fail."""

from __future__ import annotations

import pytest

from tests.rows import rows


def test_every_row_runs_in_every_combination() -> None:
    seen: list[tuple[int, str, bool]] = []

    @rows("flag", [True, False])
    @rows("number, text", [(1, "a"), pytest.param(2, "b", id="two")])
    def test(number: int, text: str, flag: bool) -> None:
        seen.append((number, text, flag))

    test()
    assert sorted(seen) == [(1, "a", False), (1, "a", True), (2, "b", False), (2, "b", True)]


def test_rows_that_fail_are_named_and_the_others_still_run() -> None:
    seen: list[int] = []

    @rows("number", [1, 2, 3, 4], ids=["one", "two", "three", "four"])
    def test(number: int) -> None:
        seen.append(number)
        if number == 3:
            with pytest.raises(ValueError, match="never"):
                pass
        assert number != 2

    with pytest.raises(BaseExceptionGroup, match="2 of 4 rows") as caught:
        test()
    assert [each.__notes__ for each in caught.value.exceptions] == [
        ["in the row two"],
        ["in the row three"],
    ]
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("names", "values", "problem"),
    [
        ("number", [], "proves nothing"),
        ("number, text", [(1, "a", 2)], "no row of"),
        ("other", [1], "takes no"),
        ("number", [pytest.param(1, marks=pytest.mark.slow)], "is marked"),
    ],
)
def test_a_table_that_would_prove_less_is_refused(
    names: str, values: list[object], problem: str
) -> None:
    with pytest.raises(AssertionError, match=problem):

        @rows(names, values)
        def test(number: int, text: str = "") -> None:
            raise NotImplementedError
