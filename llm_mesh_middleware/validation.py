"""Validation of manifests for commands and system checks: one report for all of them.

For writers of adapters; applications use `llm-mesh validate`, `flask llm-mesh validate` and
`manage.py check`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict, replace
from pydantic import BaseModel, SecretStr

from ._compile import advise, explain_unserved
from ._manifest import Manifest, Resource
from ._mesh.live_config import MeshStatus, compile_loaded, workload_of
from .config import LLMProvider, used_extensions
from .exceptions import Problem
from .settings import MeshSettings
from .sources import ClosableSource, Config, source_of

__all__ = ["Extension", "Report", "report_status", "validate"]


class Extension(msgspec.Struct, frozen=True):
    """A field that ASM ignores, and the document that sets it."""

    kind: str
    name: str
    field: str


class Report(msgspec.Struct, frozen=True):
    """The result of a validation.

    Attributes:
        problems: errors and warnings, by file and line.
        hosts: the virtual hosts that would be served; None if an error prevents it.
        documents: how many documents are usable.
        extensions: fields that ASM ignores.
    """

    problems: tuple[Problem, ...]
    hosts: tuple[str, ...] | None
    documents: int = 0
    extensions: tuple[Extension, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether a mesh could serve requests with these manifests."""
        return bool(self.hosts)

    def lines(self) -> Iterator[str]:
        """Return a line for each problem, in the form of compilers."""
        for problem in self.problems:
            mark = "warning: " if problem.severity == "warning" else ""
            yield f"{problem.place}: {mark}{problem.text}"

    def to_json(self) -> str:
        """Return problems and extensions as indented JSON."""
        report = {
            "problems": [asdict(problem) for problem in self.problems],
            "extensions": [asdict(extension) for extension in self.extensions],
        }
        return json.dumps(report, indent=2)

    def summary(self) -> str:
        """Summarise the report in one line."""
        counts = Counter(problem.severity for problem in self.problems)
        parts = [f"{count} {name}{'s' * (count > 1)}" for name, count in sorted(counts.items())]
        if self.hosts is not None:
            hosts = ", ".join(self.hosts) or "none"
            documents = f"{self.documents} document{'s' * (self.documents != 1)}"
            parts.insert(0, f"{documents}, virtual hosts: {hosts}")
        return "; ".join(parts)


def validate(
    config: Config | None,
    settings: MeshSettings,
    *,
    environ: Mapping[str, str] | None = None,
    needs_keys: bool = True,
) -> Report:
    """Read and compile manifests, and report every problem at once.

    Args:
        config: as `Mesh` takes it.
        settings: what this process is: its labels, namespace and gateways.
        environ: where `${NAME}` is looked up; by default the environment of the process.
        needs_keys: False treats unset variables, missing key files and Secrets as if they existed.
    """
    environ = os.environ if environ is None else environ
    if not needs_keys:
        environ = _Unset(environ)
    source = source_of(config, settings, environ)
    try:
        manifest = source.load()
    finally:
        if isinstance(source, ClosableSource):
            source.close()
    if not needs_keys:
        manifest = replace(manifest, resources=tuple(map(_without_keys, manifest.resources)))
    compiled = compile_loaded(manifest, settings, environ)
    problems = [*compiled.problems, *(advise(manifest) if needs_keys else _keyless(manifest))]
    hosts = None if compiled.table is None else tuple(host.name for host in compiled.table.hosts)
    if hosts == ():
        problems += explain_unserved(manifest, workload_of(settings))
    return Report(
        tuple(sorted(problems, key=lambda each: (each.source, each.line, each.column))),
        hosts,
        len(manifest.resources),
        tuple(_extensions(manifest)),
    )


def report_status(status: MeshStatus) -> Report:
    """Report on the configuration of an existing mesh."""
    return Report(
        status.problems, None if status.state == "stale" else status.hosts, len(status.hosts)
    )


def _extensions(manifest: Manifest) -> Iterator[Extension]:
    for resource in manifest.resources:
        for name in used_extensions(resource.model):
            yield Extension(resource.model.kind, resource.name, name)


_KEY = "unset"


class _Unset(Mapping[str, str]):
    """An environment in which every variable is set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value = self._environ.get(name)
        if value:
            return value
        is_url = name.upper().endswith(("URL", "URI", "ENDPOINT", "BASE"))
        return "http://unset.invalid" if is_url else _KEY

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def _keyless(manifest: Manifest) -> tuple[Problem, ...]:
    """Give advice on the routes of a manifest whose keys were replaced."""
    routes = tuple(each for each in manifest.resources if not isinstance(each.model, LLMProvider))
    return advise(replace(manifest, resources=routes))


def _without_keys(resource: Resource) -> Resource:
    return replace(resource, model=_with_key(resource.model))


def _with_key(value: Any) -> Any:
    """Replace each `apiKeyFrom` below a model by a placeholder key."""
    if isinstance(value, tuple):
        return tuple(map(_with_key, value))
    if isinstance(value, dict):
        return {name: _with_key(item) for name, item in value.items()}
    if not isinstance(value, BaseModel):
        return value
    update = {name: _with_key(getattr(value, name)) for name in value.model_fields_set}
    if update.get("api_key_from") is not None:
        update |= {"api_key_from": None, "api_key": SecretStr(_KEY)}
    return value.model_copy(update=update)
