"""The command line: subcommands and their options; each command has its own module."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import click

from .. import __version__
from .options import (
    config_option,
    explain_options,
    extensions_option,
    read_address,
    validate_options,
    view_options,
)
from .user_errors import UserErrors

__all__ = ["main"]

# pydantic would look for plugins in all that is installed; they watch the models of applications.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


@click.group(cls=UserErrors)
@click.version_option(__version__, prog_name="llm-mesh")
def main() -> None:
    """A service mesh for LLM traffic: routes, keys and HTTPS behind plain HTTP."""


@main.command()
@click.option(
    "--config",
    "-c",
    multiple=True,
    type=click.Path(),
    help="Manifest or directory of manifests; may be repeated. Or kubernetes:NAMESPACE to read them"
    " from a cluster. Default: LLM_MESH_CONFIG.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--default-host",
    help="Virtual host of requests with any other Host, so that base_url=http://127.0.0.1:15001/v1"
    " is enough. Default: LLM_MESH_DEFAULT_HOST.",
)
@click.option(
    "--port",
    default=15001,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 for a free one.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Number of processes on the port.",
)
@click.option(
    "--grace",
    default=25.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds that open replies get to finish when the process is stopped.",
)
@click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "logfmt", "json"]),
    help="Format of the log; text is short, the others have every field of a call.",
)
@click.option(
    "--access-log/--no-access-log",
    default=True,
    show_default=True,
    help="Whether to log a line for each call.",
)
@click.option(
    "--limit-connections",
    default=10_000,
    show_default=True,
    type=click.IntRange(0),
    help="Most client connections of each worker; further ones get 503. 0 for no limit.",
)
@click.option(
    "--view",
    metavar="HOST:PORT",
    callback=read_address,
    help="Show the mesh live in a browser, at an address of its own, such as 127.0.0.1:15002.",
)
@click.option(
    "--view-host",
    "view_hosts",
    multiple=True,
    help="Host name under which the view is served, besides this machine's names; may be repeated.",
)
@click.option(
    "--view-trace-url", help="URL of a trace for the view's links, with {trace_id} in it."
)
def serve(config: tuple[str, ...], default_host: str | None, **options: Any) -> None:
    """Run the mesh as a sidecar, for programs in any language.

    A client reaches it as a proxy (`http_proxy=http://127.0.0.1:15001`), with a virtual host in its
    Host header, or with any Host if --default-host is set. GET /healthz works on any other host.
    Manifests are reloaded automatically; SIGHUP reloads them now. SIGTERM and SIGINT end the
    process; a stream that is open after the grace period ends with an error event.

    Exit code 1 if the configuration cannot be used or serves nothing, or if the address is taken; 2
    for a wrong command line.
    """
    gc.disable()  # a sixth of the start went into looking for garbage; `OwnApp` goes on
    from .serve import run

    if default_host is not None:
        os.environ["LLM_MESH_DEFAULT_HOST"] = default_host  # workers read it from there
    run(config, **options)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@validate_options
@extensions_option
def validate(paths: tuple[str, ...], **options: bool) -> None:
    """Check manifests; print every problem with its file and line.

    Prints a line for each problem, `file:line:column: message`, then which fields ASM ignores.

    Exit code 0 if a mesh can use them (there may be warnings), 1 if it cannot or would serve
    nothing, 2 for a wrong command line.
    """
    from .commands.validate import report

    sys.exit(report(paths, **options))


@main.command()
@config_option
@explain_options
def explain(config: tuple[str, ...], **request: Any) -> None:
    """Explain how a request would be routed, and why.

    Prints which rule is selected, why the others are skipped, and the provider, model, URL, headers
    and body changes of each backend. Nothing is sent, and no key is printed.

    Exit code 0 if the request would be sent to a provider, 1 if it would be refused or the
    configuration cannot be used, 2 for a wrong command line.
    """
    from .commands.explain import report

    sys.exit(report(config, **request))


@main.command()
@click.argument("folder", default="mesh", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a commented starter folder of manifests.

    FOLDER is created if it does not exist; its files are never overwritten. Default: mesh.

    Exit code 0 if the files were written, 1 if one of them exists or cannot be written.
    """
    from .commands.init import write

    write(folder)


@main.command()
@config_option
@click.option(
    "--send", is_flag=True, help="Also send a short chat request to each model; it may be billed."
)
@click.option("--model", help="Model to send to a provider that is configured without one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(config: tuple[str, ...], send: bool, model: str | None, as_json: bool) -> None:
    """Connect to each provider for real, and report what fails.

    Tests DNS, TCP, TLS, the key and the model, in this order; with --send also the first token.

    Exit code 0 if nothing has failed, 1 if something has or the configuration cannot be used, 2 for
    a wrong command line.
    """
    from .commands.check import report

    sys.exit(report(config, send=send, model=model, as_json=as_json))


@main.group()
def convert() -> None:
    """Convert the configuration of another proxy into manifests."""


@convert.command("litellm")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--host", default="llm", show_default=True, help="Virtual host that clients will call."
)
def convert_litellm(file: Path, host: str) -> None:
    """Convert a LiteLLM config.yaml.

    Prints manifests, and on standard error each setting without an equivalent. No key is copied: a
    literal one becomes a variable to set.

    Exit code 0 if there are manifests, 1 if there are none or FILE cannot be read, 2 for a wrong
    command line.
    """
    from .convert.command import report

    sys.exit(report(file, host))


@main.group()
def export() -> None:
    """Export manifests for another proxy."""


@export.command("envoy")
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address Envoy listens on.")
@click.option(
    "--port",
    default=15001,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port Envoy listens on.",
)
@click.option("--partial", is_flag=True, help="Print a bootstrap even if something is left out.")
def export_envoy(config: tuple[str, ...], host: str, port: int, partial: bool) -> None:
    """Print an Envoy bootstrap that does the same for ASM's own fields.

    It has hosts, header matches, weights, keys, paths, models, TLS and the access log with token
    counts. Keys are references to environment variables. Fields that cannot be exported are listed
    on standard error.

    Exit code 0 if all was exported, or with --partial, 1 if something was not or the configuration
    cannot be used, 2 for a wrong command line.
    """
    from .commands.export import report

    sys.exit(report(config, address=host, port=port, partial=partial))


@main.group()
def cache() -> None:
    """Try out caches."""


@cache.command("evaluate")
@click.argument("pairs", type=click.Path(path_type=Path))
@config_option
@click.option("--policy", help="Namespace and name of the LLMPolicy. Default: the only one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache_evaluate(pairs: Path, config: tuple[str, ...], policy: str | None, as_json: bool) -> None:
    """Measure hits and false hits of a semantic cache on labelled pairs of texts.

    Each line of PAIRS is {"a": "one text", "b": "another", "same": true}; `same` says whether one
    response may answer both. The provider of the policy is asked for their vectors, which may be
    billed. Prints for several thresholds how many pairs would be hits, and how many of those that
    are not the same would be, with and without the comparison of numbers, names and negations.

    Exit code 0 if that could be measured, 1 if the file, the configuration or the provider cannot
    be used, 2 for a wrong command line.
    """
    from .commands.evaluate import report

    sys.exit(report(config, pairs, policy=policy, as_json=as_json))


@main.command()
@click.argument(
    "kind",
    required=False,
    type=click.Choice(["LLMProvider", "LLMRoute", "LLMPolicy", "InferencePool"]),
)
def schema(kind: str | None) -> None:
    """Print the JSON Schema of manifests, for editors.

    For one KIND of document, or for all by default.
    """
    from .commands.schema import report

    report(kind)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes llm-mesh in SHELL."""
    from .commands.completion import report

    report(main, shell)


@main.command()
@view_options
def status(url: str, headers: tuple[str, ...], as_json: bool) -> None:
    """Print the state of a running mesh.

    Shows hosts, rules, providers, their health and traffic, read from the view at URL, which
    `llm-mesh serve --view 127.0.0.1:15002` and `MeshView` serve.

    Exit code 0 if all is well, 1 if the configuration is stale, a provider is out of service, or
    there is no view at URL.
    """
    from .watching.commands import show_status
    from .watching.reading import ViewReader

    sys.exit(show_status(ViewReader(url, headers), as_json=as_json))


@main.command()
@view_options
def top(url: str, headers: tuple[str, ...], as_json: bool) -> None:
    """Show the state of a running mesh, live.

    It is updated each second, until Ctrl+C.

    With --json, one line each second.
    """
    from .watching.commands import show_top
    from .watching.reading import ViewReader

    sys.exit(show_top(ViewReader(url, headers), as_json=as_json))


@main.command()
@view_options
@click.option("--host", help="Only calls to this virtual host.")
@click.option("--rule", help="Only calls of this rule.")
@click.option("--status", help="Only calls with this status; 5xx is any from 500 to 599.")
@click.option("--consumer", help="Only calls of this consumer.")
@click.option(
    "--lines",
    "-n",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="Past calls to print first.",
)
def tail(url: str, headers: tuple[str, ...], as_json: bool, lines: int, **wanted: Any) -> None:
    """Print the last calls of a running mesh.

    Then new ones until Ctrl+C. Failed attempts are listed below their call. With --json, one call
    per line.
    """
    from .watching.commands import Wanted, show_tail
    from .watching.reading import ViewReader

    sys.exit(show_tail(ViewReader(url, headers), Wanted(**wanted), lines=lines, as_json=as_json))


@main.command()
@click.option("--view", "has_view", is_flag=True, help="Show a mesh live in a browser instead.")
@click.option(
    "--port",
    default=15002,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the view; 0 for a free one.",
)
def demo(has_view: bool, port: int) -> None:
    """Run the manifests of ASM, without a key or a network.

    Two embedded providers, real sockets and TLS, and the manifests of each scenario. With --view,
    both get steady traffic instead, which is shown in a browser; keys kill, slow down, rate-limit
    and heal them.

    Exit code 0 if every request was served as the manifests say, else 1.
    """
    if has_view:
        from .demos.live import run as run_live

        sys.exit(run_live(port))
    from .demos.scenarios import run

    sys.exit(run())
