"""`flask llm-mesh`: validate the manifests of the application, and explain its routing."""

from __future__ import annotations

from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.cli.options import explain_options, validate_options
from llm_mesh_middleware.explain import ask, to_json
from llm_mesh_middleware.validation import report_status
from llm_mesh_middleware.validation import validate as validate_manifests

__all__ = ["group"]

group = AppGroup("llm-mesh", help="The LLM mesh of the application.")


@group.command()
@click.argument("paths", nargs=-1, type=click.Path())
@validate_options
@click.pass_context
def validate(
    context: click.Context, /, paths: tuple[str, ...], no_env: bool, as_json: bool
) -> None:
    """Check manifests; print every problem with its file and line.

    Checks those at PATHS, by default the application's own.

    Exit code 0 if a mesh can use them (there may be warnings), 1 if it cannot or would serve
    nothing.
    """
    mesh = _mesh()
    if paths:
        report = validate_manifests(paths, mesh.settings, needs_keys=not no_env)
    else:
        report = report_status(mesh.reload())
    if as_json:
        click.echo(report.to_json())
    else:
        for line in report.lines():
            click.echo(line)
        click.echo(report.summary(), err=True)
    context.exit(0 if report.is_usable else 1)


@group.command()
@explain_options
@click.pass_context
def explain(context: click.Context, /, as_json: bool, **request: Any) -> None:
    """Explain how a request would be routed, and why.

    Nothing is sent, and no key is printed.

    Exit code 0 if the request would be sent to a provider, 1 if it would be refused.
    """
    try:
        explanation = ask(_mesh(), **request)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    click.echo(to_json(explanation) if as_json else explanation.to_text())
    context.exit(0 if explanation.is_served else 1)


def _mesh() -> Mesh:
    mesh: Mesh = current_app.extensions["llm_mesh"].mesh
    return mesh
