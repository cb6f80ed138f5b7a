"""The client of the fixture: it routes calls to virtual hosts, and refuses all others."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Protocol

import httpx

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.mesh import Config
from llm_mesh_middleware.settings import load_settings
from llm_mesh_middleware.testing import Limits, MemoryUpstream

__all__ = ["MakeClient", "MeshClient", "make_client"]


class MeshClient(httpx.Client):
    """An httpx client for virtual hosts alone."""

    def __init__(self, mesh: Mesh, limits: Limits) -> None:
        """Route the calls by `mesh`, which is closed with the client; `limits` are its store."""
        self.mesh = mesh
        self.limits = limits
        # Without the environment: a proxy of the machine would have a transport of its own.
        super().__init__(transport=MeshTransport(mesh, transport=_NoSocket(mesh)), trust_env=False)

    def close(self) -> None:
        """Close the client and the mesh."""
        super().close()
        self.mesh.close()

    def left(self, name: str, **by: str | None) -> float:
        """Return what is left of a limit or a budget: `left("team/burst", consumer="alice")`."""
        return self.limits.left(self.mesh, name, **by)

    def pass_time(self, seconds: float) -> None:
        """Move the clock of limits forward."""
        self.limits.pass_time(seconds)

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        self.mesh.close()


class MakeClient(Protocol):
    """The type of the fixture `llm_mesh`."""

    def __call__(self, config: Config, **settings: Any) -> MeshClient:
        """Return a client whose calls `config` routes; `settings` are those of `MeshSettings`.

        Raises:
            ConfigError: manifests or settings have errors; it has all of them.
        """


def make_client(
    upstream: MemoryUpstream, config: Config, settings: Mapping[str, Any]
) -> MeshClient:
    """Return a client of a new mesh; weights are drawn from a fixed seed."""
    limits = Limits()
    mesh = Mesh(
        config,
        settings=_only(settings),
        transport=upstream,
        environ=_Environment(),
        rng=random.Random(0).random,
        store=limits.store,
    )
    return MeshClient(mesh, limits)


class _Environment(Mapping[str, str]):
    """The environment of the process, with a made-up value for every other variable."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name) or f"test-{name}"

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


class _NoSocket(httpx.BaseTransport):
    """Refuses calls to hosts that are not virtual hosts."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def handle_request(self, request: httpx.Request) -> NoReturn:
        names = ", ".join(self._mesh.status().hosts) or "none"
        raise RuntimeError(
            f"{request.url.host} is not a virtual host of this mesh ({names}), and the client"
            " of the fixture llm_mesh opens no socket"
        )


def _only(settings: Mapping[str, Any]) -> MeshSettings:
    """Return `settings` over the defaults: a test must not depend on the shell."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in MeshSettings.model_fields.items()
    }
    return load_settings(**{**defaults, **settings})
