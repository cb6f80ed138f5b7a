"""`llm-mesh init`: a commented starter folder of manifests."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

__all__ = ["NAMES", "write"]

NAMES = ("providers.yaml", "routes.yaml")
_NEXT = """\
Next:
  export OPENAI_API_KEY=...
  llm-mesh validate {folder}
  llm-mesh check --config {folder}
  llm-mesh serve --config {folder} --default-host llm
Then use http://127.0.0.1:15001/v1 as the base URL of any OpenAI client."""


def write(folder: Path) -> None:
    """Write the starter files into `folder`, and say what to do next.

    Raises:
        click.ClickException: a file exists already, or the folder cannot be written.
    """
    taken = [name for name in NAMES if (folder / name).exists()]
    if taken:
        raise click.ClickException(f"{folder / taken[0]} exists; nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            text = (files("llm_mesh_middleware.cli") / "starter" / name).read_text("utf-8")
            (folder / name).write_text(text, "utf-8")
            click.echo(f"wrote {folder / name}")
    except OSError as exc:
        raise click.ClickException(f"cannot write to {folder}: {exc.strerror or exc}") from None
    click.echo(_NEXT.format(folder=folder))
