"""`llm-mesh explain`: how a request would be routed, and why."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import click

from ..._core.explaining.text import make_sections
from ...explain import ask, to_json
from ...mesh import Mesh
from ...settings import load_settings
from ..console import make_console, print_sections

__all__ = ["report"]


def report(config: Sequence[str], *, as_json: bool, **request: Any) -> int:
    """Print how the request would be routed; return 0 if a provider would get it, else 1."""
    settings = load_settings(**({"config": tuple(config)} if config else {}))
    if not settings.config:
        raise click.UsageError("there are no manifests: give --config or set LLM_MESH_CONFIG")
    logging.disable(logging.WARNING)  # warnings about manifests are for `validate`
    try:
        mesh = Mesh(settings=settings)
    finally:
        logging.disable(logging.NOTSET)
    try:
        explanation = ask(mesh, **request)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    console = make_console()
    if as_json:
        click.echo(to_json(explanation))
    elif console.is_terminal:
        print_sections(console, make_sections(explanation))
    else:
        click.echo(explanation.to_text())
    return 0 if explanation.is_served else 1
