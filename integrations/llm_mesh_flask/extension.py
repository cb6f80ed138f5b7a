"""The Flask extension: virtual LLM hosts are served, everything else reaches the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack
from weakref import WeakKeyDictionary

import click
from flask import Flask, Request, current_app, request

from llm_mesh_middleware import ConfigError, LLMMeshWSGIMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.inbound import AdapterOptions, check_options, read_settings

from .commands import group

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["LLMMesh"]

T = TypeVar("T")

_NAME = "llm_mesh"
_PREFIX = "LLM_MESH_"


class LLMMesh:
    """Puts the mesh before a Flask application.

    Settings are `app.config["LLM_MESH_..."]`, which override the environment variables.
    """

    def __init__(
        self, app: Flask | None = None, **options: Unpack[AdapterOptions[Request]]
    ) -> None:
        """Serve `app`, or those that `init_app` is called with later.

        Args:
            app: the application.
            **options: see `AdapterOptions`; settings override `app.config`. The functions run in a
                request context, so they can use `session` and `current_app`; they must be plain
                functions, and must not read the body.

        Raises:
            ConfigError: the settings or the manifests cannot be used.
            TypeError: there is no such option, or it has another type.
        """
        check_options(options)
        self._options = options
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
            ConfigError: the settings or the manifests cannot be used. In a `flask` command, the
                command ends and prints the problems.
        """
        if _NAME in app.extensions:
            raise RuntimeError(f"{app.name} has an LLMMesh already")
        try:
            mesh = self._make_mesh(app)
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
            attributes=_in_context(app, self._options.get("attributes")),
            authorize=_in_context(app, self._options.get("authorize")),
        )

    def _make_mesh(self, app: Flask) -> Mesh:
        options = self._options
        return options.get("mesh") or Mesh(
            options.get("config"),
            settings=options.get("settings") or _settings(app),
            tracer_provider=options.get("tracer_provider"),
            meter_provider=options.get("meter_provider"),
            logger_provider=options.get("logger_provider"),
        )


def _settings(app: Flask) -> MeshSettings:
    options = app.config.get_namespace(_PREFIX, lowercase=False)
    return read_settings(options, spelling=_PREFIX + "{}")


def _in_context(
    app: Flask, word: Callable[[Request], T] | None
) -> Callable[[Mapping[str, Any]], T] | None:
    """Return the application's function as one that gets the environ."""
    if word is None:
        return None

    def ask(environ: WSGIEnvironment) -> T:
        with app.request_context(environ):
            return word(request._get_current_object())  # type: ignore[attr-defined]

    return ask  # type: ignore[return-value]
