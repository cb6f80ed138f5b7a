"""`llm-mesh validate`: every problem of a set of manifests at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import click
from rich.text import Text

from ...exceptions import DOCUMENTS, Problem
from ...settings import load_settings
from ...validation import Extension, Report, validate
from ..console import make_console

__all__ = ["report"]

_STYLES = {"error": "red", "warning": "yellow"}

# What differs between two uses of one field: the place in a list, and the name of a rule.
_PLACES = re.compile(r"\[[^]]*\]|(?<=\brouteSpecificConfigs)\.[^.]+")


def report(
    paths: Sequence[str], *, as_json: bool, no_env: bool = False, all_extensions: bool = False
) -> int:
    """Print the problems of the manifests at `paths`; return 0 if they can be used, else 1."""
    settings = load_settings(config=tuple(paths))
    found = validate(None, settings, needs_keys=not no_env)
    if as_json:
        click.echo(found.to_json())
    else:
        _print(found, all_extensions=all_extensions)
    return 0 if found.is_usable else 1


def _print(found: Report, *, all_extensions: bool) -> None:
    """Print a line for each problem; a terminal gets the same text in colours."""
    console = make_console()
    for problem, line in zip(found.problems, found.lines(), strict=True):
        if console.is_terminal:
            console.print(_coloured(problem))
        else:
            click.echo(line)
    describe = _each if all_extensions else _by_kind
    for line in describe(found.extensions):
        click.echo(line, err=True)
    console = make_console(stderr=True)
    if console.is_terminal:
        console.print(Text(found.summary(), "bold green" if found.is_usable else "bold red"))
    else:
        click.echo(found.summary(), err=True)
    if found.problems:
        click.echo(f"each field is explained in {DOCUMENTS}reference/manifests/", err=True)


def _each(extensions: Sequence[Extension]) -> Iterator[str]:
    for extension in extensions:
        yield f"extension beyond ASM: {extension.kind} {extension.name}: {extension.field}"


def _by_kind(extensions: Sequence[Extension]) -> Iterator[str]:
    """Return a line for each kind, so that in a large file the warnings are seen."""
    kinds: dict[str, Counter[str]] = {}
    for extension in extensions:
        field = _PLACES.sub("[]", extension.field)
        kinds.setdefault(extension.kind, Counter())[field] += 1
    for kind, fields in kinds.items():
        uses = (f"{field} ({count})" if count > 1 else field for field, count in fields.items())
        yield f"extensions beyond ASM: {kind}: {', '.join(uses)}"


def _coloured(problem: Problem) -> Text:
    style = _STYLES[problem.severity]
    mark = "warning: " if problem.severity == "warning" else ""
    place = (f"{problem.place}: ", "bold")
    return Text.assemble(place, (mark, f"bold {style}"), (problem.text, style))
