"""A warning if clients of other machines can use the mesh, or if nobody can."""

from __future__ import annotations

from ipaddress import ip_address

import click

from ...settings import MeshSettings

__all__ = ["is_loopback", "warn_if_exposed"]

_REMEDY = "set LLM_MESH_CLIENT_KEYS and LLM_MESH_ACCESS=keys"


def warn_if_exposed(settings: MeshSettings, host: str) -> None:
    """Warn if strangers can use the owner's keys; it may be intended, so nothing is refused."""
    if settings.access == "keys" and not settings.client_keys:
        click.echo(
            "warning: LLM_MESH_ACCESS=keys, and LLM_MESH_CLIENT_KEYS is not set: every request is"
            ' refused with 401; set it to a JSON object such as {"alice": "..."}',
            err=True,
        )
    if is_loopback(host):
        return
    where = f"LLM_MESH_ACCESS={settings.access} on {host or 'every address'}"
    if settings.access == "open":
        who = "anyone who can reach this port can use your API keys"
    elif settings.access == "private" and not settings.client_keys:
        who = (
            "any peer in a private network can use your API keys, and so can anyone behind a proxy"
            " or a NodePort that adds no X-Forwarded-For"
        )
    else:
        return
    click.echo(f"warning: {where}: {who}; {_REMEDY}", err=True)


def is_loopback(host: str) -> bool:
    """Return whether a listening address is reachable only from this machine."""
    try:
        return ip_address(host.partition("%")[0].strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
