"""A Flask application with one view."""

from __future__ import annotations

from typing import Any

import flask

from llm_mesh_flask import LLMMesh

__all__ = ["make"]


def make(answer: bytes = b"from the application", **words: Any) -> flask.Flask:
    """The application with a mesh before it; in capitals configuration of Flask."""
    app = flask.Flask("tests.flask.application")
    app.config.update({name: words.pop(name) for name in list(words) if name.isupper()})

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def view(path: str) -> flask.Response:
        return flask.Response(answer, content_type="text/plain")

    LLMMesh(app, **words)
    return app
