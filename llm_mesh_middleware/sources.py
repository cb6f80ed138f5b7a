"""Sources of configuration: files and directories of manifests, or models made in Python.

A source returns problems; it never raises for what it finds.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Union, runtime_checkable

from msgspec.structs import replace

from ._manifest import (
    Manifest,
    Resource,
    Secret,
    SecretName,
    parse_manifest,
    parse_object,
)
from ._process.files import FileVersions, read_bounded
from ._schema.document import DocumentModel
from ._schema.wording import shown
from .exceptions import ConfigError, Problem
from .settings import KUBERNETES, MeshSettings

if TYPE_CHECKING:
    from .config import Document

__all__ = [
    "ClosableSource",
    "Config",
    "ConfigSource",
    "FileSource",
    "Manifest",
    "ModelSource",
    "ReportingSource",
    "Resource",
    "Secret",
    "SecretName",
    "apply",
    "parse_manifest",
    "parse_object",
    "source_of",
]

logger = logging.getLogger("llm_mesh_middleware")

_MAX_BYTES = 64 * 2**20
_SUFFIXES = (".yaml", ".yml", ".json")


@runtime_checkable
class ConfigSource(Protocol):
    """Anything that can load the current configuration."""

    def load(self) -> Manifest:
        """Read everything; problems are returned, not raised."""
        ...

    def fingerprint(self) -> Hashable:
        """Return a value that changes whenever the result of `load` would.

        It is called every reload interval. It must be fast and must not raise: requests wait for
        it.
        """
        ...


@runtime_checkable
class ReportingSource(Protocol):
    """A source that is notified of the result of each load."""

    def report(self, problems: tuple[Problem, ...]) -> None:
        """Handle all problems of a load, including those of the source itself.

        The configuration is in use unless one of them is an error. It must not block.
        """
        ...


@runtime_checkable
class ClosableSource(Protocol):
    """A source with open resources, such as a connection to a cluster."""

    def close(self) -> None:
        """Close it; the next `load` reopens it."""
        ...


class ModelSource:
    """`LLMProvider`, `LLMRoute` and `LLMPolicy` objects made in Python."""

    def __init__(self, models: Iterable[Document], *, default_namespace: str = "default") -> None:
        self._resources = tuple(
            Resource.of(model, default_namespace=default_namespace) for model in models
        )

    def load(self) -> Manifest:
        """Return the models, applied in their order."""
        return Manifest(apply(self._resources))

    def fingerprint(self) -> Hashable:
        """Return a constant: models do not change."""
        return ()


_EMPTY_FILE = "the file is empty; delete it if it is not needed"
_EMPTY_PIPE = "nothing is in this pipe, which can be read only once; write it to a file"


class FileSource:
    """Files of YAML or JSON, and directories of `*.yaml`, `*.yml` and `*.json`."""

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        environ: Mapping[str, str],
        default_namespace: str = "default",
    ) -> None:
        self._paths = tuple(os.fspath(path) for path in paths)
        self._environ = environ
        self._default_namespace = default_namespace
        self._versions = FileVersions()

    def fingerprint(self) -> Hashable:
        """Return the versions of all files; directories are listed again each time."""
        files: list[str] = []
        unlisted: list[tuple[str, str]] = []
        for path in self._paths:
            try:
                files += _files_at(path)
            except OSError as exc:
                unlisted.append((path, str(exc.strerror)))
        return self._versions.of(files), tuple(unlisted)

    def load(self) -> Manifest:
        """Read the paths in order, directories in file-name order, and apply their documents."""
        parts = [part for path in self._paths for part in self._load_path(path)]
        problems = [problem for part in parts for problem in part.problems]
        given = [resource for part in parts for resource in part.resources]
        problems += _lost_hosts(given)
        resources = apply(given)
        if not resources and not any(problem.severity == "error" for problem in problems):
            problems += self._nothing_found(parts)
        return Manifest(
            resources,
            tuple(problems),
            frozenset().union(*(part.broken_hosts for part in parts)),
            remnants=tuple(remnant for part in parts for remnant in part.remnants),
            may_be_cut=any(part.may_be_cut for part in parts),
        )

    def _nothing_found(self, parts: Iterable[Manifest]) -> Iterator[Problem]:
        """Report that no document was found, and what was found instead."""
        kinds = Counter(kind for part in parts for kind in part.ignored_kinds)
        found = ", ".join(f"{count} {shown(kind)}" for kind, count in kinds.most_common(5))
        message = f"no LLMProvider or LLMRoute in it, found {found or 'no document at all'}"
        for path in self._paths:
            yield Problem(path, 0, 0, "", message)

    def _load_path(self, path: str) -> Iterator[Manifest]:
        try:
            files = _files_at(path)
        except OSError as exc:
            yield _unreadable(path, exc)
            return
        if not files:
            yield _complaint(path, "the directory has no *.yaml, *.yml or *.json file")
        for file in files:
            yield self._load_file(file)

    def _load_file(self, path: str) -> Manifest:
        try:
            data = read_bounded(path, _MAX_BYTES)
        except (OSError, ValueError) as exc:  # ValueError: NUL in the path
            return _unreadable(path, exc)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as exc:
            lines = data[: exc.start].decode("utf-8").split("\n")
            message = "is not UTF-8: save the file in that encoding"
            return _complaint(path, message, len(lines), len(lines[-1]) + 1)
        if not text.strip():
            return _complaint(path, _EMPTY_FILE if os.path.isfile(path) else _EMPTY_PIPE)
        manifest = parse_manifest(
            text,
            source=path,
            environ=self._environ,
            default_namespace=self._default_namespace,
        )
        return replace(manifest, may_be_cut=not text.endswith("\n"))


# The models are imported when there are documents of their kinds.
Config = str | os.PathLike[str] | ConfigSource | Sequence[Union[str, os.PathLike[str], "Document"]]


def source_of(
    config: Config | None, settings: MeshSettings, environ: Mapping[str, str] | None = None
) -> ConfigSource:
    """Return the source for `config`; None means that of the settings.

    Raises:
        ConfigError: it is a cluster, and the library for Kubernetes is not installed.
        TypeError: it is nothing that can be read.
    """
    if config is None:
        config = settings.config
    if isinstance(config, ConfigSource):
        return config
    if isinstance(config, str | os.PathLike):
        config = (config,)
    paths, models = _sorted_out(config)
    if not paths and not models:
        logger.warning(
            "no configuration, so the mesh serves nothing: set LLM_MESH_CONFIG or pass config="
        )
    if not models and len(paths) == 1 and paths[0].startswith(KUBERNETES):
        return _cluster_source(paths[0])
    of_models = ModelSource(models, default_namespace=settings.namespace)
    if models and not paths:
        return of_models
    environ = os.environ if environ is None else environ
    of_files = FileSource(paths, environ=environ, default_namespace=settings.namespace)
    return _FilesAndModels(of_files, of_models) if models else of_files


def _sorted_out(config: Sequence[object]) -> tuple[list[str], list[Document]]:
    """Return the paths and the models of a configuration.

    Raises:
        TypeError: it has something else, which would silently configure nothing.
    """
    if isinstance(config, Mapping | bytes | bytearray) or not isinstance(config, Iterable):
        raise _no_config(config)
    paths: list[str] = []
    models: list[Any] = []
    for item in config:
        if isinstance(item, DocumentModel):
            models.append(item)
        elif isinstance(item, str | os.PathLike):
            paths.append(os.fspath(item))
        else:
            raise _no_config(item)
    return paths, models


def _no_config(given: object) -> TypeError:
    remedy = "; LLMProvider.model_validate makes a model of a dict" if type(given) is dict else ""
    return TypeError(
        "config must be a path, a source with load and fingerprint, or a list of paths and of"
        f" LLMProvider, LLMRoute and LLMPolicy objects, not {type(given).__name__}{remedy}"
    )


class _FilesAndModels:
    """Files, and models that are applied after them: they replace documents of their names."""

    def __init__(self, files: FileSource, models: ModelSource) -> None:
        self._files = files
        self._models = models

    def load(self) -> Manifest:
        manifest = self._files.load()
        added = self._models.load().resources
        return replace(manifest, resources=apply((*manifest.resources, *added)))

    def fingerprint(self) -> Hashable:
        return self._files.fingerprint()


def _cluster_source(config: str) -> ConfigSource:
    try:
        # Imported by name: this package does not depend on integrations.
        module = importlib.import_module("llm_mesh_kubernetes")
    except ModuleNotFoundError as exc:
        if exc.name not in ("llm_mesh_kubernetes", "kubernetes_asyncio"):
            raise
        message = f"{exc.name} is missing: install llm-mesh-middleware[kubernetes]"
        raise ConfigError([Problem(config.rstrip(":"), 0, 0, "", message)]) from None
    source: ConfigSource = module.KubernetesSource(config.removeprefix(KUBERNETES) or None)
    return source


def apply(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Keep one resource per kind, namespace and name, as `kubectl apply` does: the later one.

    It takes the position of the first.
    """
    applied = {
        (resource.model.kind, resource.namespace, resource.name): resource for resource in resources
    }
    return tuple(applied.values())


def _lost_hosts(resources: Iterable[Resource]) -> Iterator[Problem]:
    """Warn of a document that another of its name replaces, though it is about another host.

    It is a copy whose name was left as it was. With the same host it is a new version.
    """
    by_name: dict[tuple[str, str, str], Resource] = {}
    for resource in resources:
        key = resource.model.kind, resource.namespace, resource.name
        before, by_name[key] = by_name.get(key), resource
        host = None if before is None else getattr(before.model.spec, "host", None)
        if before is not None and host != getattr(resource.model.spec, "host", None):
            path = ("metadata", "name")
            message = (
                f"{resource.model.kind} {resource.name!r} replaces the one of this name for"
                f" {host!r}, at {before.problem(path, '').place}; give it another name to have both"
            )
            yield resource.problem(path, message, "warning")


def _files_at(path: str) -> list[str]:
    return _manifests_in(path) if os.path.isdir(path) else [path]


def _manifests_in(directory: str) -> list[str]:
    # A mounted ConfigMap keeps its generations under hidden names: `..data` and the like.
    with os.scandir(directory) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.endswith(_SUFFIXES)
            and not entry.name.startswith(".")
            and not entry.is_dir()
        ]
    return [os.path.join(directory, name) for name in sorted(names)]


def _unreadable(path: str, error: OSError | ValueError) -> Manifest:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return _complaint(path, f"cannot be read: {reason}")


def _complaint(path: str, message: str, line: int = 0, column: int = 0) -> Manifest:
    return Manifest(problems=(Problem(path, line, column, "", message),))
