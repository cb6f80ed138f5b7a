"""`llm-mesh demo --view`: providers, mesh, view and traffic, and the keys that change them."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.resources import as_file, files

import click

from ...asgi import LLMMeshMiddleware, Receive, Scope, Send
from ...mesh import Mesh
from ...settings import MeshSettings
from ...view import MeshView
from ..serving.background import serving
from ..serving.binding import bind
from .keys import read_keys
from .scene import Condition, DemoProvider
from .surroundings import demo_authority
from .traffic import steady_traffic

__all__ = ["run"]

_PROVIDERS = (
    ("dashscope.aliyuncs.com", "YOUR_DASHSCOPE_API_KEY", 0.25),
    ("api.moonshot.cn", "YOUR_MOONSHOT_API_KEY", 0.4),
)
# The key for each provider, and the condition that it sets.
_KEYS: tuple[tuple[str, Condition], ...] = (
    ("1q", "killed"),
    ("2w", "slow"),
    ("3e", "rate-limited"),
    ("4r", "well"),
)
_FORGET_AFTER = 500


def run(port: int) -> int:
    """Run until the key x, the end of the input or Ctrl+C; the view listens at `port`."""
    bind("127.0.0.1", port, "show the view on").close()  # to report a failure before all else
    with ExitStack() as stack:
        ca, ca_file = stack.enter_context(demo_authority())
        keys = {variable: f"demo-{secrets.token_hex(12)}" for _, variable, _ in _PROVIDERS}
        providers = [
            DemoProvider(host, keys[variable], ca, pace_s=pace_s)
            for host, variable, pace_s in _PROVIDERS
        ]
        for provider in providers:
            provider.start()
            stack.callback(provider.close)
        manifest = stack.enter_context(as_file(files(__package__) / "live.yaml"))
        settings = MeshSettings(
            config=(str(manifest),),
            endpoints={provider.host: provider.url for provider in providers},
            ca_file=ca_file,
        )
        mesh = Mesh(settings=settings, environ=keys)
        stack.callback(mesh.close)
        view = MeshView(mesh, authorize=lambda scope: True)  # on loopback alone
        view_port = stack.enter_context(serving(view, port=port))
        stack.callback(view.end)
        mesh_port = stack.enter_context(serving(LLMMeshMiddleware(_no_app, mesh=mesh)))
        counted = itertools.count(1)

        def after_each() -> None:
            if next(counted) % _FORGET_AFTER == 0:
                for provider in providers:
                    provider.forget()

        stack.enter_context(steady_traffic(mesh_port, after_each))
        click.echo(f"The mesh is shown at http://127.0.0.1:{view_port}/\n")
        _print_keys(providers)
        with contextlib.suppress(KeyboardInterrupt):
            _obey(providers)
    return 0


def _print_keys(providers: Sequence[DemoProvider]) -> None:
    for index, provider in enumerate(providers):
        actions = "  ".join(f"{keys[index]} {_VERBS[condition]}" for keys, condition in _KEYS)
        click.echo(f"  {provider.host:24}{actions}")
    click.echo("  x to end\n")


_VERBS: dict[Condition, str] = {
    "killed": "kill",
    "slow": "slow down",
    "rate-limited": "rate-limit",
    "well": "heal",
}


def _obey(providers: Sequence[DemoProvider]) -> None:
    for key in read_keys():
        if key == "x":
            return
        for keys, condition in _KEYS:
            if key in keys:
                provider = providers[keys.index(key)]
                provider.change(condition)
                click.echo(f"{provider.host} is {condition}")


async def _no_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve nothing: every call of the demonstration is for a virtual host."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
