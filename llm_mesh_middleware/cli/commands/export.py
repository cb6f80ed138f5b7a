"""`llm-mesh export envoy`: the manifests as an Envoy bootstrap."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from ..._export.envoy import MarkedEnvironment, export
from ..._mesh.live_config import compile_loaded
from ...exceptions import ConfigError
from ...settings import load_settings
from ...sources import ClosableSource, source_of

__all__ = ["report"]


def report(config: Sequence[str], *, address: str, port: int, partial: bool) -> int:
    """Print the bootstrap; return 0 if it is complete or `partial` is allowed, else 1."""
    settings = load_settings(**({"config": tuple(config)} if config else {}))
    if not settings.config:
        raise click.UsageError("there are no manifests: give --config or set LLM_MESH_CONFIG")
    environ = MarkedEnvironment(os.environ)
    source = source_of(None, settings, environ)
    logging.disable(logging.WARNING)  # warnings about manifests are for `validate`
    try:
        manifest = source.load()
        compiled = compile_loaded(manifest, settings, environ)
    finally:
        logging.disable(logging.NOTSET)
        if isinstance(source, ClosableSource):
            source.close()
    if compiled.table is None:
        raise ConfigError([each for each in compiled.problems if each.severity == "error"])
    try:
        found = export(manifest, compiled, settings, environ=os.environ, address=address, port=port)
    except KeyError as exc:
        raise click.ClickException(f"${exc.args[0]} is not set") from None
    for remark in found.remarks:
        click.echo(f"note: {remark}", err=True)
    for gap in found.gaps:
        click.echo(f"not exported: {gap}", err=True)
    if found.gaps and not partial:
        click.echo("nothing was printed; --partial prints the rest", err=True)
        return 1
    names = ", ".join(Path(name).name for name in settings.config)
    click.echo(f"# Exported from {names} by llm-mesh export envoy.")
    click.echo(yaml.safe_dump(found.bootstrap, sort_keys=False, allow_unicode=True), nl=False)
    return 0
