"""`flask llm-mesh`: the mesh of the application, looked at from a terminal."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import AppGroup

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.explain import read_attribute, read_body, read_header
from llm_mesh_middleware.mesh import compile_source
from llm_mesh_middleware.sources import source_of

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
    mesh = _mesh()
    if paths:
        table, problems = compile_source(source_of(paths, mesh.settings), mesh.settings)
        hosts = None if table is None else [host.name for host in table.hosts]
    else:
        status = mesh.reload()
        problems = status.problems
        hosts = None if status.state == "stale" else list(status.hosts)
    for problem in problems:
        mark = "warning: " if problem.severity == "warning" else ""
        click.echo(f"{problem.place}: {mark}{problem.text}")
    if hosts is None:
        context.exit(1)
    click.echo("virtual hosts: " + ", ".join(hosts), err=True)


@group.command()
@click.option("--host", required=True, help="The host that the request calls.")
@click.option("--path", default="/", show_default=True, help="Its path.")
@click.option("--method", default="", help="Its method. Default: that of the path's operation.")
@click.option("--header", "-H", multiple=True, help="A header, 'name: value'; may be repeated.")
@click.option(
    "--attribute",
    multiple=True,
    help="What the application would say of the client, 'name=value'; may be repeated.",
)
@click.option("--data", "-d", help="The body: JSON, @file, or - for standard input. Default: {}.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
@click.pass_context
def explain(
    context: click.Context,
    host: str,
    path: str,
    method: str,
    header: tuple[str, ...],
    attribute: tuple[str, ...],
    data: str | None,
    as_json: bool,
) -> None:
    """Tell how a request would be routed, and why.

    Nothing is sent, and no key is printed.

    Exit code 0 if the request would be sent to a provider, 1 if it would be refused.
    """
    try:
        headers = [read_header(line) for line in header]
        attributes = dict(read_attribute(text) for text in attribute)
        body = read_body(data)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    except OSError as exc:
        raise click.UsageError(f"cannot read the body: {exc.strerror}") from None
    explanation = _mesh().explain(
        host, path=path, method=method, headers=headers, body=body, attributes=attributes
    )
    if as_json:
        click.echo(json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo(explanation.to_text())
    context.exit(0 if explanation.is_served else 1)


def _mesh() -> Mesh:
    mesh: Mesh = current_app.extensions["llm_mesh"].mesh
    return mesh
