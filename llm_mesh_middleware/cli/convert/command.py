"""`llm-mesh convert litellm`: manifests on standard output, remarks on standard error."""

from __future__ import annotations

import os
from collections.abc import Sized
from pathlib import Path

import click
import yaml

from ..._schema.values import check_host
from .litellm import convert
from .places import line_of

__all__ = ["report"]


def report(file: Path, host: str) -> int:
    """Print the manifests of a LiteLLM configuration; return 0 if there are any, else 1."""
    try:
        host = check_host(host)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--host") from None
    try:
        text = file.read_text("utf-8")
        config, root = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
        raise click.ClickException(f"cannot read {file}: {reason}") from None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise click.ClickException(f"{place}: is not YAML") from None
    if not isinstance(config, dict):
        raise click.ClickException(f"{file}: is not a mapping, so not a LiteLLM configuration")
    found = convert(config, host=host, environ=os.environ)
    if found.documents:
        click.echo(f"# Converted from {file.name} by llm-mesh convert litellm.")
        written = yaml.safe_dump_all(found.documents, sort_keys=False, allow_unicode=True)
        click.echo(written, nl=False)
    for place, remark in found.remarks:
        click.echo(f"{file}:{line_of(root, place)}: {place}: {remark}", err=True)
    counts = _counted(found.documents, "document"), _counted(found.remarks, "remark")
    click.echo(", ".join(counts), err=True)
    return 0 if found.documents else 1


def _counted(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"
