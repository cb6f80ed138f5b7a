"""Tables of plain values in one test: thousands of tests of a millisecond are mostly overhead.

A row that needs a server, a fixture of its own or a mark belongs in `pytest.mark.parametrize`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

__all__ = ["rows"]

Test = Callable[..., None]
Ids = Iterable[object] | Callable[[Any], object] | None


def rows(
    names: str | Sequence[str], values: Iterable[Any], *, ids: Ids = None
) -> Callable[[Test], Test]:
    """Run a test for each row, as `parametrize` does; it fails with every row that fails, named."""
    members = [each.strip() for each in names.split(",")] if isinstance(names, str) else list(names)
    table = list(_named(members, values, ids))
    assert table, "a table without a row proves nothing"

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        others = [each for name, each in signature.parameters.items() if name not in members]
        assert len(others) == len(signature.parameters) - len(members), f"{test} takes no {members}"
        assert not inspect.iscoroutinefunction(test), f"{test} needs a loop of its own for each row"

        @functools.wraps(test)
        def of_every_row(**given: Any) -> None:
            failures = [
                failure for name, row in table if (failure := _failure(name, test, row | given))
            ]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(table)} rows", failures)

        of_every_row.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return of_every_row

    return decorate


def _failure(name: str, test: Test, arguments: dict[str, Any]) -> BaseException | None:
    try:
        test(**arguments)
    except (Exception, pytest.fail.Exception) as failure:
        failure.add_note(f"in the row {name}")
        return failure
    return None


def _named(
    members: Sequence[str], values: Iterable[Any], ids: Ids
) -> Iterator[tuple[str, dict[str, Any]]]:
    given = iter(ids) if ids is not None and not callable(ids) else None
    for value in values:
        name = next(given) if given else None
        if isinstance(value, _PARAM):
            assert not value.marks, f"{value} is marked, so it needs a test of its own"
            name, row = value.id or name, list(value.values)
        else:
            row = [value] if len(members) == 1 else list(value)
        assert len(row) == len(members), f"{row} is no row of {members}"
        if callable(ids):
            name = "-".join(str(ids(each)) for each in row)
        yield str(name or f"{row!r:.200}"), dict(zip(members, row, strict=True))


_PARAM = type(pytest.param())
