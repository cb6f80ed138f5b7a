"""`llm-mesh validate`: every problem of a set of manifests at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.text import Text

from .._compile import advise
from .._core.routing.table import RoutingTable
from .._manifest import Manifest
from ..config import used_extensions
from ..exceptions import Problem
from ..mesh import compile_source
from ..settings import load_settings
from ..sources import ClosableSource, source_of
from .console import make_console

__all__ = ["report"]

_STYLES = {"error": "red", "warning": "yellow"}


def report(paths: Sequence[str], *, as_json: bool) -> int:
    """Print what is wrong with the manifests at `paths`; 0 if they can be used, else 1."""
    settings = load_settings(config=tuple(paths))
    source = source_of(None, settings)
    try:
        manifest = source.load()
        table, found = compile_source(source, settings)
    finally:
        if isinstance(source, ClosableSource):
            source.close()
    problems = sorted((*found, *advise(manifest)), key=lambda p: (p.source, p.line, p.column))
    extensions = [
        {"kind": resource.model.kind, "name": resource.name, "field": field}
        for resource in manifest.resources
        for field in used_extensions(resource.model)
    ]
    if as_json:
        told = {"problems": [asdict(problem) for problem in problems], "extensions": extensions}
        click.echo(json.dumps(told, indent=2))
        return 0 if table is not None else 1

    _print_problems(problems)
    for extension in extensions:
        click.echo("extension beyond ASM: {kind} {name}: {field}".format(**extension), err=True)
    _print_verdict(manifest, table, problems)
    return 0 if table is not None else 1


def _print_problems(problems: Sequence[Problem]) -> None:
    """A line each, as compilers write them; a terminal gets the same text in colours."""
    console = make_console()
    for problem in problems:
        style = _STYLES[problem.severity]
        mark = "warning: " if problem.severity == "warning" else ""
        if console.is_terminal:
            place = (f"{problem.place}: ", "bold")
            console.print(Text.assemble(place, (mark, f"bold {style}"), (problem.text, style)))
        else:
            click.echo(f"{problem.place}: {mark}{problem.text}")


def _print_verdict(
    manifest: Manifest, table: RoutingTable | None, problems: Sequence[Problem]
) -> None:
    counts = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity in _STYLES
        if (count := sum(problem.severity == severity for problem in problems))
    ]
    if table is not None:
        hosts = ", ".join(host.name for host in table.hosts)
        counts.insert(0, f"{len(manifest.resources)} documents, virtual hosts: {hosts}")
    console = make_console(stderr=True)
    text = "; ".join(counts)
    if console.is_terminal:
        console.print(Text(text, "bold green" if table is not None else "bold red"))
    else:
        click.echo(text, err=True)
