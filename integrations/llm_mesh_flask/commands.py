"""`flask llm-mesh`: the mesh of the application, looked at from a terminal."""

from __future__ import annotations

import os

import click
from flask import current_app
from flask.cli import AppGroup

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.mesh import compile_source
from llm_mesh_middleware.sources import FileSource

__all__ = ["group"]

group = AppGroup("llm-mesh", help="The LLM mesh of the application.")


@group.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.pass_context
def validate(context: click.Context, paths: tuple[str, ...]) -> None:
    """Check manifests; print every problem with its file and line.

    Those at PATHS, or by default the application's own.

    Exit code 0 if they can be used (there may be warnings), 1 if not.
    """
    settings = _mesh().settings
    source = FileSource(
        paths or settings.config, environ=os.environ, default_namespace=settings.namespace
    )
    table, problems = compile_source(source, settings)
    for problem in problems:
        mark = "warning: " if problem.severity == "warning" else ""
        click.echo(f"{problem.place}: {mark}{problem.text}")
    if table is None:
        context.exit(1)
    click.echo("virtual hosts: " + ", ".join(host.name for host in table.hosts), err=True)


def _mesh() -> Mesh:
    mesh: Mesh = current_app.extensions["llm_mesh"].mesh
    return mesh
