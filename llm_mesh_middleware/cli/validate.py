"""`llm-mesh validate`: every problem of a set of manifests at once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict

import click

from ..config import used_extensions
from ..mesh import compile_source
from ..settings import load_settings
from ..sources import FileSource

__all__ = ["report"]


def report(paths: Sequence[str], *, as_json: bool) -> int:
    """Print what is wrong with the manifests at `paths`; 0 if they can be used, else 1."""
    settings = load_settings()
    source = FileSource(paths, environ=os.environ, default_namespace=settings.namespace)
    manifest = source.load()
    table, problems = compile_source(source, settings)
    extensions = [
        {"kind": resource.model.kind, "name": resource.name, "field": field}
        for resource in manifest.resources
        for field in used_extensions(resource.model)
    ]
    if as_json:
        found = {"problems": [asdict(problem) for problem in problems], "extensions": extensions}
        click.echo(json.dumps(found, indent=2))
        return 0 if table is not None else 1

    for problem in problems:
        mark = "warning: " if problem.severity == "warning" else ""
        click.echo(f"{problem.place}: {mark}{problem.text}")
    for extension in extensions:
        click.echo("extension beyond ASM: {kind} {name}: {field}".format(**extension), err=True)
    if table is not None:
        hosts = ", ".join(host.name for host in table.hosts)
        click.echo(f"{len(manifest.resources)} documents, virtual hosts: {hosts}", err=True)
    return 0 if table is not None else 1
