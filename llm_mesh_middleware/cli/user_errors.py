"""Errors that a user can fix, reported by the command without a traceback."""

from __future__ import annotations

import sys

import click

from ..exceptions import ConfigError

__all__ = ["UserErrors"]

_INSTALL = "install llm-mesh-middleware[cli]"
_EXTRA = ("httptools", "rich", "trustme", "uvicorn")


class UserErrors(click.Group):
    """Ends with exit code 1, without a traceback, for errors that a user can fix.

    These are an invalid configuration, printed with a line for each problem, and a missing library.
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as exc:
            click.echo(exc, err=True)
            sys.exit(1)
        except ModuleNotFoundError as exc:
            name = (exc.name or "").partition(".")[0]
            if name not in _EXTRA:
                raise
            raise click.ClickException(f"{name} is missing: {_INSTALL}") from exc
