"""`llm-mesh validate`: every problem of a set of manifests at once."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text

from ...exceptions import DOCUMENTS, Problem
from ...settings import load_settings
from ...validation import Report, validate
from ..console import make_console

__all__ = ["report"]

_STYLES = {"error": "red", "warning": "yellow"}


def report(paths: Sequence[str], *, as_json: bool, needs_keys: bool = True) -> int:
    """Print the problems of the manifests at `paths`; return 0 if they can be used, else 1."""
    settings = load_settings(config=tuple(paths))
    found = validate(None, settings, needs_keys=needs_keys)
    if as_json:
        click.echo(found.to_json())
    else:
        _print(found)
    return 0 if found.is_usable else 1


def _print(found: Report) -> None:
    """Print a line for each problem; a terminal gets the same text in colours."""
    console = make_console()
    for problem, line in zip(found.problems, found.lines(), strict=True):
        if console.is_terminal:
            console.print(_coloured(problem))
        else:
            click.echo(line)
    for extension in found.extensions:
        text = f"extension beyond ASM: {extension.kind} {extension.name}: {extension.field}"
        click.echo(text, err=True)
    console = make_console(stderr=True)
    if console.is_terminal:
        console.print(Text(found.summary(), "bold green" if found.is_usable else "bold red"))
    else:
        click.echo(found.summary(), err=True)
    if found.problems:
        click.echo(f"each field is explained in {DOCUMENTS}reference/manifests/", err=True)


def _coloured(problem: Problem) -> Text:
    style = _STYLES[problem.severity]
    mark = "warning: " if problem.severity == "warning" else ""
    place = (f"{problem.place}: ", "bold")
    return Text.assemble(place, (mark, f"bold {style}"), (problem.text, style))
