"""Options that the commands of `llm-mesh` and `flask llm-mesh` share.

Needs click and nothing else of the extra `cli`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..explain import OPTIONS, Option

__all__ = ["config_option", "explain_options", "read_address", "validate_options", "view_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """Give a click command the option that names the manifests."""
    return click.option(
        "--config",
        "-c",
        multiple=True,
        type=click.Path(),
        help="Manifest or directory of manifests; may be repeated. Default: LLM_MESH_CONFIG.",
    )(command)


def explain_options(command: Command) -> Command:
    """Give a click command the options that describe a request."""
    for option in reversed(OPTIONS):
        command = _click_option(option)(command)
    return command


def validate_options(command: Command) -> Command:
    """Give a click command the options of a validation."""
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--no-env",
            is_flag=True,
            help="Treat unset variables, key files and Secrets as set: for CI, which has no keys.",
        ),
    ):
        command = decorate(command)
    return command


extensions_option = click.option(
    "--extensions",
    "all_extensions",
    is_flag=True,
    help="List every field that ASM ignores, with its document; else each field is named once.",
)


def view_options(command: Command) -> Command:
    """Give a click command the options for reading a view."""
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--header",
            "-H",
            "headers",
            multiple=True,
            help="Header for a login in front of the view, 'name: value'; may be repeated.",
        ),
        click.argument("url", default="http://127.0.0.1:15002/"),
    ):
        command = decorate(command)
    return command


def read_address(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[str, int] | None:
    """Read HOST:PORT, or PORT alone for 127.0.0.1."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
        raise click.BadParameter("expected HOST:PORT, such as 127.0.0.1:15002")
    return host.strip("[]") or "127.0.0.1", int(port)


_LAST_PORT = 65535


def _click_option(option: Option) -> Callable[[Command], Command]:
    if option.is_flag:
        return click.option(*option.spellings, f"as_{option.name}", is_flag=True, help=option.help)
    if option.is_repeated:
        return click.option(*option.spellings, multiple=True, help=option.help)
    if option.is_required:  # without a default: None would be one
        return click.option(*option.spellings, required=True, help=option.help)
    return click.option(*option.spellings, default=option.default, help=option.help)
