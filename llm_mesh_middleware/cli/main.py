"""The command line: subcommands and their options; what they do is in a module each."""

from __future__ import annotations

import sys

import click

from .. import __version__
from ..exceptions import ConfigError

__all__ = ["main"]


_INSTALL = "install llm-mesh-middleware[cli]"
_EXTRA = ("httptools", "rich", "trustme", "uvicorn")


class _Group(click.Group):
    """Any command ends with exit code 1 and without a traceback for what a user can mend.

    That is a bad configuration, whose problems are printed one a line, and a missing library.
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


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="llm-mesh")
def main() -> None:
    """A service mesh for LLM traffic: routes, keys and HTTPS behind plain HTTP."""


@main.command()
@click.option(
    "--config",
    "-c",
    multiple=True,
    type=click.Path(),
    help="A manifest or a directory of them; may be repeated. Or kubernetes:NAMESPACE, for what a"
    " cluster has. Default: LLM_MESH_CONFIG.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=15001,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 for a free one.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many processes share the port.",
)
@click.option(
    "--grace",
    default=25.0,
    show_default=True,
    type=click.FloatRange(0),
    help="How many seconds open answers may take to finish when the process is told to end.",
)
@click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How each call is logged.",
)
def serve(
    config: tuple[str, ...], host: str, port: int, workers: int, grace: float, log_format: str
) -> None:
    """Run the mesh as a sidecar, for programs in any language.

    A client reaches it with `http_proxy=http://127.0.0.1:15001`, or with a virtual host in its Host
    header. GET /healthz answers on any other host. Changed manifests are read by themselves, SIGHUP
    has them read now. SIGTERM and SIGINT end the process; a stream that is open after the grace
    period ends with an error event.

    Exit code 1 if the configuration cannot be used or the address is taken, 2 for a wrong command
    line.
    """
    from .serve import run

    run(config, host=host, port=port, workers=workers, grace=grace, log_format=log_format)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print problems and extensions as JSON.")
def validate(paths: tuple[str, ...], as_json: bool) -> None:
    """Check manifests; print every problem with its file and line.

    One problem a line, `file:line:column: message`; then the extensions beyond ASM that are used.

    Exit code 0 if they can be used (there may be warnings), 1 if not, 2 for a wrong command line.
    """
    from .validate import report

    sys.exit(report(paths, as_json=as_json))


@main.command()
@click.option(
    "--config",
    "-c",
    multiple=True,
    type=click.Path(),
    help="A manifest or a directory of them; may be repeated. Default: LLM_MESH_CONFIG.",
)
@click.option("--host", required=True, help="The host that the request calls.")
@click.option("--path", default="/", show_default=True, help="Its path.")
@click.option("--method", default="", help="Its method. Default: that of the path's operation.")
@click.option("--header", "-H", multiple=True, help="A header, 'name: value'; may be repeated.")
@click.option(
    "--attribute",
    multiple=True,
    help="What the application says of the client, 'name=value'; may be repeated.",
)
@click.option("--data", "-d", help="The body: JSON, @file, or - for standard input. Default: {}.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(
    config: tuple[str, ...],
    host: str,
    path: str,
    method: str,
    header: tuple[str, ...],
    attribute: tuple[str, ...],
    data: str | None,
    as_json: bool,
) -> None:
    """Tell how a request would be routed, and why.

    Which rule wins, which lose and for what reason; the provider, model, URL, headers and body
    changes of each backend. Nothing is sent, and no key is printed.

    Exit code 0 if the request would be sent to a provider, 1 if it would be refused or the
    configuration cannot be used, 2 for a wrong command line.
    """
    from .explain_command import report

    code = report(
        config,
        host=host,
        path=path,
        method=method,
        headers=header,
        attributes=attribute,
        data=data,
        as_json=as_json,
    )
    sys.exit(code)


@main.command()
@click.argument("kind", required=False, type=click.Choice(["LLMProvider", "LLMRoute"]))
def schema(kind: str | None) -> None:
    """Print the JSON Schema of manifests, for editors.

    Of one KIND of document, or by default of either.
    """
    from .schema import report

    report(kind)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes llm-mesh in a SHELL."""
    from .completion import report

    report(main, shell)


@main.command()
def demo() -> None:
    """Show the mesh at work, with no key and no network.

    Two embedded providers, real sockets and TLS, and the manifests of each scenario.

    Exit code 0 if every request was served as the manifests say, else 1.
    """
    from .demo import run

    sys.exit(run())
