"""`llm-mesh completion`: the script that lets a shell complete the command; click makes it."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["report"]

_PROGRAM = "llm-mesh"
_VARIABLE = "_LLM_MESH_COMPLETE"  # the variable that click reads for this program name


def report(command: click.Command, shell: str) -> None:
    """Print the script for `shell`."""
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(made(command, {}, _PROGRAM, _VARIABLE).source())
