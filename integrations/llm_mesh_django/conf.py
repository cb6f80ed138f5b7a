"""The `LLM_MESH` setting: one dict that overrides the `LLM_MESH_*` variables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.module_loading import import_string

from llm_mesh_middleware import ConfigError, Mesh, MeshSettings, Problem
from llm_mesh_middleware.inbound import ForkLock, read_settings

__all__ = ["SETTING", "Options", "get_mesh", "read_options"]

SETTING = "LLM_MESH"

_SPELLING = 'LLM_MESH["{}"]'

T = TypeVar("T")
Word = Callable[[HttpRequest], T | Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Options:
    """The values of `LLM_MESH`; `attributes` and `authorize` may be coroutine functions."""

    settings: MeshSettings
    mesh: Mesh | None
    attributes: Word[Mapping[str, str | None]] | None
    authorize: Word[bool] | None


def read_options() -> Options:
    """Read Django's settings.

    Raises:
        ConfigError: the settings have errors; it has all of them.
    """
    given = getattr(django_settings, SETTING, None) or {}
    if not isinstance(given, Mapping):
        raise ConfigError([Problem(SETTING, 0, 0, "", "must be a dict")])
    given = {str(name): value for name, value in given.items()}
    problems: list[Problem] = []
    found = {name: _load(given, name, is_kind, problems) for name, is_kind in _KINDS.items()}
    try:
        settings = read_settings(given, spelling=_SPELLING, beside=_KINDS)
    except ConfigError as exc:
        problems += exc.problems
    if problems:
        raise ConfigError(problems)
    return Options(settings, found["MESH"], found["ATTRIBUTES"], found["AUTHORIZE"])


def get_mesh() -> Mesh:
    """Return the mesh of this process, made on first use.

    The middleware uses the same one, so a project can call it too.

    Raises:
        ConfigError: the settings or the manifests cannot be used.
    """
    global _mesh
    with _lock.of_process:
        if _mesh is None:
            options = read_options()
            _mesh = options.mesh or Mesh(settings=options.settings)
        return _mesh


_lock = ForkLock()
_mesh: Mesh | None = None


@receiver(setting_changed)
def _forget_mesh(*, setting: str, **_: object) -> None:
    """Make a new mesh after a test has overridden the setting; the old one stays usable."""
    global _mesh
    if setting == SETTING:
        _mesh = None


_KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "ATTRIBUTES": ("a callable that takes the request", callable),
    "AUTHORIZE": ("a callable that takes the request", callable),
    "MESH": ("a Mesh", lambda value: isinstance(value, Mesh)),
}


def _load(
    given: Mapping[str, object],
    name: str,
    kind: tuple[str, Callable[[object], bool]],
    problems: list[Problem],
) -> Any:
    """Return the object of an option, which may be given by its dotted path."""
    value, (wanted, is_kind) = given.get(name), kind
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as exc:
            problems.append(Problem(_SPELLING.format(name), 0, 0, "", f"cannot be imported: {exc}"))
            return None
    if value is not None and not is_kind(value):
        message = f"must be {wanted}, or the dotted path of one"
        problems.append(Problem(_SPELLING.format(name), 0, 0, "", message))
    return value
