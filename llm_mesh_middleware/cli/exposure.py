"""A word of warning for who serves everybody."""

from __future__ import annotations

from ipaddress import ip_address

import click

__all__ = ["warn_if_exposed"]


def warn_if_exposed(access: str, host: str) -> None:
    """Say so when strangers can spend the owner's keys; it may be meant, so nothing is refused."""
    if access == "open" and not _is_loopback(host):
        click.echo(
            f"warning: LLM_MESH_ACCESS=open on {host or 'every address'}: whoever reaches this"
            " port spends your keys; give callers keys of their own with LLM_MESH_CLIENT_KEYS and"
            " LLM_MESH_ACCESS=keys",
            err=True,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0].strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
