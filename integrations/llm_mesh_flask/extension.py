"""The Flask extension: virtual LLM hosts are served, everything else reaches the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import click
from flask import Flask, Request, current_app, request

from llm_mesh_middleware import ConfigError, LLMMeshWSGIMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.inbound import read_settings
from llm_mesh_middleware.mesh import Config

from .commands import group

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["LLMMesh"]

T = TypeVar("T")

_NAME = "llm_mesh"
_PREFIX = "LLM_MESH_"


class LLMMesh:
    """Puts the mesh before a Flask application.

    Settings are `app.config["LLM_MESH_..."]`, over the environment's variables of the same names.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        config: Config | None = None,
        settings: MeshSettings | None = None,
        mesh: Mesh | None = None,
        attributes: Callable[[Request], Mapping[str, str]] | None = None,
        authorize: Callable[[Request], bool] | None = None,
    ) -> None:
        """Serve `app`, or those that `init_app` is called with later.

        The callables are called for requests to virtual hosts only, in a request context, so
        that `session` and `current_app` are there; they must leave the body alone.

        Args:
            app: the application.
            config: manifests, as `Mesh` takes them; by default what the settings name.
            settings: as `Mesh` takes them, instead of `app.config` and the environment.
            mesh: a mesh to share with other adapters, instead of `config` and `settings`.
            attributes: the application's own facts about a request (plan, tenant), for matching.
            authorize: decides who may use the mesh beside `LLM_MESH_ACCESS`.

        Raises:
            ConfigError: the settings or the manifests cannot be used.
        """
        self._config = config
        self._settings = settings
        self._mesh = mesh
        self._attributes = attributes
        self._authorize = authorize
        self._meshes: WeakKeyDictionary[Flask, Mesh] = WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    @property
    def mesh(self) -> Mesh:
        """The mesh of the current application."""
        return self._meshes[current_app._get_current_object()]  # type: ignore[attr-defined]

    def init_app(self, app: Flask) -> None:
        """Put the mesh before `app`.

        Raises:
            ConfigError: the settings or the manifests cannot be used. Below a `flask` command it
                ends the command, which prints the problems.
        """
        if _NAME in app.extensions:
            raise RuntimeError(f"{app.name} has an LLMMesh already")
        try:
            mesh = self._mesh or Mesh(self._config, settings=self._settings or _settings(app))
        except ConfigError as exc:
            if click.get_current_context(silent=True) is None:
                raise
            raise click.ClickException(str(exc)) from exc
        self._meshes[app] = mesh
        app.extensions[_NAME] = self
        app.cli.add_command(group)
        app.wsgi_app = LLMMeshWSGIMiddleware(  # type: ignore[method-assign]
            app.wsgi_app,
            mesh=mesh,
            attributes=_in_context(app, self._attributes),
            authorize=_in_context(app, self._authorize),
        )


def _settings(app: Flask) -> MeshSettings:
    options = app.config.get_namespace(_PREFIX, lowercase=False)
    return read_settings(options, spelling=_PREFIX + "{}")


def _in_context(
    app: Flask, word: Callable[[Request], T] | None
) -> Callable[[Mapping[str, Any]], T] | None:
    """The application's callable, for one that has the environ."""
    if word is None:
        return None

    def ask(environ: WSGIEnvironment) -> T:
        with app.request_context(environ):
            return word(request._get_current_object())  # type: ignore[attr-defined]

    return ask  # type: ignore[return-value]
