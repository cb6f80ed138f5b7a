"""`llm-mesh explain`: why a request goes where it goes."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import click

from .._core.explaining.text import make_sections
from ..explain import read_attribute, read_body, read_header
from ..mesh import Mesh
from ..settings import load_settings
from .console import make_console, print_sections

__all__ = ["report"]


def report(
    config: Sequence[str],
    *,
    host: str,
    path: str,
    method: str,
    headers: Sequence[str],
    attributes: Sequence[str],
    data: str | None,
    as_json: bool,
) -> int:
    """Print how the request would be routed; 0 if it would be sent to a provider, else 1."""
    settings = load_settings(**({"config": tuple(config)} if config else {}))
    if not settings.config:
        raise click.UsageError("there are no manifests: give --config or set LLM_MESH_CONFIG")
    try:
        pairs = [read_header(line) for line in headers]
        facts = dict(read_attribute(text) for text in attributes)
        body = read_body(data)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    except OSError as exc:
        raise click.UsageError(f"cannot read the body: {exc.strerror}") from None
    logging.disable(logging.WARNING)  # `validate` tells what is odd about the manifests
    try:
        mesh = Mesh(settings=settings)
    finally:
        logging.disable(logging.NOTSET)
    explanation = mesh.explain(
        host, path=path, method=method, headers=pairs, body=body, attributes=facts
    )
    console = make_console()
    if as_json:
        click.echo(json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False))
    elif console.is_terminal:
        print_sections(console, make_sections(explanation))
    else:
        click.echo(explanation.to_text())
    return 0 if explanation.is_served else 1
