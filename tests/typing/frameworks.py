"""The adapters of frameworks, as an application writes them; only mypy reads this."""

from __future__ import annotations

from typing import assert_type

import flask
from django.http import HttpRequest

from llm_mesh_django import LLMMeshMiddleware, get_mesh
from llm_mesh_flask import LLMMesh
from llm_mesh_middleware import Mesh


def plan_of(request: flask.Request) -> dict[str, str]:
    return {"plan": request.headers.get("plan", "free")}


def flask_factory() -> flask.Flask:
    app = flask.Flask("app")
    mesh = LLMMesh(attributes=plan_of, authorize=lambda request: request.is_secure)
    mesh.init_app(app)
    assert_type(mesh.mesh, Mesh)
    return app


def django_chain(request: HttpRequest) -> object:
    assert_type(get_mesh(), Mesh)
    return LLMMeshMiddleware(lambda request: None)(request)
