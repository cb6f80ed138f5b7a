"""`manage.py check`: what is wrong with the settings and the manifests, by file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning

from llm_mesh_middleware import ConfigError, Mesh, Problem
from llm_mesh_middleware.validation import validate

from .conf import SETTING, Options, read_options

__all__ = ["check_configuration", "check_order"]

_MIDDLEWARE = "llm_mesh_django.LLMMeshMiddleware"
_COMMON = "django.middleware.common.CommonMiddleware"


def check_configuration(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """One message for each problem.

    E001 and W001 are about a manifest, E002 about the settings.
    """
    try:
        options = read_options()
        return [_message(problem) for problem in _problems(options)]
    except ConfigError as exc:
        return [_message(problem) for problem in exc.problems]


def check_order(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """W002: a middleware that refuses unknown hosts stands before the mesh."""
    order = list(django_settings.MIDDLEWARE)
    if not {_MIDDLEWARE, _COMMON}.issubset(order) or "*" in django_settings.ALLOWED_HOSTS:
        return []
    if order.index(_MIDDLEWARE) < order.index(_COMMON):
        return []
    return [
        Warning(
            f"{_MIDDLEWARE} stands after {_COMMON}, which refuses hosts that ALLOWED_HOSTS does"
            " not name.",
            hint="Move it up in MIDDLEWARE, or add the virtual hosts to ALLOWED_HOSTS.",
            id="llm_mesh.W002",
        )
    ]


def _problems(options: Options) -> Iterator[Problem]:
    if options.mesh is not None:  # made elsewhere, so it can be used
        return
    report = validate(None, options.settings)
    yield from report.problems
    if report.hosts is not None:
        Mesh(settings=options.settings)  # finds what only a mesh reads, such as the trust store


def _message(problem: Problem) -> CheckMessage:
    if problem.severity == "warning":
        return Warning(str(problem), hint=f"Look at {problem.place}.", id="llm_mesh.W001")
    if problem.source.startswith(SETTING):
        hint = f"Correct {SETTING} in the settings module, or the variable in the environment."
        return Error(str(problem), hint=hint, id="llm_mesh.E002")
    hint = f"Correct {problem.place}; the mesh does not start until then."
    return Error(str(problem), hint=hint, id="llm_mesh.E001")
