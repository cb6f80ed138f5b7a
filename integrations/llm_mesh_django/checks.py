"""System checks: problems of settings and manifests by file and line, and the middleware order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import unwrap
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
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_PROVIDED_BY = {
    "user": _AUTHENTICATION,
    "auser": _AUTHENTICATION,
    "session": "django.contrib.sessions.middleware.SessionMiddleware",
}


def check_configuration(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Return one message for each problem.

    E001 and W001 are about a manifest, E002 about the settings.
    """
    try:
        options = read_options()
        return [_message(problem) for problem in _problems(options)]
    except ConfigError as exc:
        return [_message(problem) for problem in exc.problems]


def check_order(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Check the order of `MIDDLEWARE`.

    W002: a middleware that refuses unknown hosts runs before the mesh. W003: a function of
    `LLM_MESH` reads an attribute of the request that a later middleware sets.
    """
    order = list(django_settings.MIDDLEWARE)
    if _MIDDLEWARE not in order:
        return []
    return [*_refused_hosts(order), *_read_too_early(order)]


def _refused_hosts(order: Sequence[str]) -> list[CheckMessage]:
    if not {_MIDDLEWARE, _COMMON}.issubset(order) or "*" in django_settings.ALLOWED_HOSTS:
        return []
    if order.index(_MIDDLEWARE) < order.index(_COMMON):
        return []
    return [
        Warning(
            f"{_MIDDLEWARE} comes after {_COMMON}, which refuses hosts that are not in"
            " ALLOWED_HOSTS.",
            hint="Move it up in MIDDLEWARE, or add the virtual hosts to ALLOWED_HOSTS.",
            id="llm_mesh.W002",
        )
    ]


def _read_too_early(order: Sequence[str]) -> Iterator[CheckMessage]:
    try:
        options = read_options()
    except ConfigError:
        return  # reported by the other check
    before = order[: order.index(_MIDDLEWARE)]
    for setting, called in (("ATTRIBUTES", options.attributes), ("AUTHORIZE", options.authorize)):
        for name in sorted(_read_names(called) & _PROVIDED_BY.keys()):
            if _PROVIDED_BY[name] not in before:
                yield Warning(
                    f'{SETTING}["{setting}"] reads request.{name}, which'
                    f" {_PROVIDED_BY[name]} sets after {_MIDDLEWARE} has run.",
                    hint=f"Move {_MIDDLEWARE} after it in MIDDLEWARE, before {_COMMON}.",
                    id="llm_mesh.W003",
                )


def _read_names(called: object) -> set[str]:
    """Return the names of all attributes that the code of a function reads."""
    code = getattr(unwrap(called), "__code__", None) if callable(called) else None
    return set() if code is None else set(code.co_names)


def _problems(options: Options) -> Iterator[Problem]:
    if options.mesh is not None:  # it exists, so its configuration is usable
        return
    report = validate(None, options.settings)
    yield from report.problems
    if report.hosts is not None:
        Mesh(settings=options.settings)  # also reads files such as the trust store


def _message(problem: Problem) -> CheckMessage:
    if problem.severity == "warning":
        return Warning(str(problem), hint=f"Look at {problem.place}.", id="llm_mesh.W001")
    if problem.source.startswith(SETTING):
        hint = f"Correct {SETTING} in the settings module, or the variable in the environment."
        return Error(str(problem), hint=hint, id="llm_mesh.E002")
    hint = f"Correct {problem.place}; the mesh does not start until then."
    return Error(str(problem), hint=hint, id="llm_mesh.E001")
