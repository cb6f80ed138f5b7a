"""Binds a listener, or says in one line why it cannot."""

from __future__ import annotations

import os
import socket

import click

__all__ = ["bind"]


def bind(host: str, port: int, purpose: str) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: an address or a name.
        port: 0 for a free one.
        purpose: what it is for, as in `cannot {purpose} HOST port PORT`.

    Raises:
        click.ClickException: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        # Its message repeats the address, and the resolver's error numbers are not errno's.
        is_unknown = isinstance(exc, socket.gaierror) or isinstance(
            exc.__context__, socket.gaierror
        )
        reason = "unknown host" if is_unknown else os.strerror(exc.errno or 0)
        raise click.ClickException(f"cannot {purpose} {host} port {port}: {reason}") from None
