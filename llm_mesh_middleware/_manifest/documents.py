"""Parse manifests to models that know the line and column of each field.

All problems of a text are collected. A document with an error does not become a resource.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .. import config
from .._schema.values import check_host
from .._schema.wording import (
    Given,
    Path,
    field_path,
    format_field,
    is_about_a_key,
    known_fields,
    say,
    shown,
    suggest,
)
from ..exceptions import Problem
from . import nodes
from .json_text import read_text
from .lists import unfold
from .nodes import Document, Entry, Node, Scalar, Stream
from .objects import document_of
from .placeholders import substitute
from .places import find, key_place, place
from .private_fields import is_private, without_key
from .remnants import Remnant, remnant_of
from .resources import Manifest, Resource

if TYPE_CHECKING:
    from ..config import Document as Model

__all__ = ["parse_manifest", "parse_object"]

_REWRITES = (
    "inference.networking.x-k8s.io/v1alpha2",
    "inference.networking.x-k8s.io/v1alpha1",
    "inference.networking.k8s.io/v1alpha2",
)
# The versions of each kind that are read; its model is imported when there is such a document.
_VERSIONS: dict[str, tuple[str, ...]] = {
    "LLMProvider": ("istio.alibabacloud.com/v1beta1", "istio.alibabacloud.com/v1"),
    "LLMRoute": ("istio.alibabacloud.com/v1beta1", "istio.alibabacloud.com/v1"),
    "LLMPolicy": ("llm-mesh.dev/v1alpha1",),
    "InferencePool": (
        "inference.networking.k8s.io/v1",
        "inference.networking.x-k8s.io/v1alpha2",
        "inference.networking.x-k8s.io/v1alpha1",
    ),
    "InferenceModelRewrite": _REWRITES,
    "InferenceModel": _REWRITES,
}
# Other kinds of the pools' group are ignored.
_GROUPS = tuple(
    {
        versions[0].partition("/")[0] + "/"
        for kind, versions in _VERSIONS.items()
        if not kind.startswith("Inference")
    }
)
# Kinds of the same API group that this mesh ignores.
_OTHER_KIND = "ASM"
_HOST: Path = ("spec", "host")
_KEPT_METADATA = ("name", "namespace")


def parse_manifest(
    text: str,
    *,
    source: str,
    environ: Mapping[str, str],
    default_namespace: str = "default",
) -> Manifest:
    """Read every document of a YAML or JSON text. Never raises for what the text holds.

    Args:
        text: any number of documents of any kinds.
        source: its name in problems, usually a file name.
        environ: where `${NAME}` is looked up.
        default_namespace: of documents that name none.
    """
    return _manifest(read_text(text), source, environ, default_namespace)


def parse_object(
    value: Mapping[str, object],
    *,
    source: str,
    environ: Mapping[str, str],
    default_namespace: str = "default",
) -> Manifest:
    """Parse a document that is a JSON object already; problems have no place in it."""
    stream = Stream((document_of(value),), None)
    return _manifest(stream, source, environ, default_namespace)


def _manifest(
    stream: Stream, source: str, environ: Mapping[str, str], default_namespace: str
) -> Manifest:
    resources: list[Resource] = []
    problems: list[Problem] = []
    broken_hosts: set[str] = set()
    ignored: list[str] = []
    remnants: list[Remnant] = []
    unfolded = [unfold(document) for document in stream.documents]
    for document in (document for documents, _ in unfolded for document in documents):
        reader = _DocumentReader(document, source, environ)
        model = reader.read()
        problems += sorted(reader.problems, key=lambda problem: (problem.line, problem.column))
        if model is not None:
            resources.append(
                Resource.of(
                    model, default_namespace=default_namespace, source=source, root=document.root
                )
            )
        else:
            remnants += reader.remnants()
            if (host := reader.provider_host()) is not None:
                broken_hosts.add(host)
        if reader.ignored_kind is not None:
            ignored.append(reader.ignored_kind)
    flaws = [flaw for _, flaws in unfolded for flaw in flaws]
    if stream.error is not None:
        flaws.append(stream.error)
    problems += [
        Problem(source, flaw.line, flaw.column, format_field(flaw.path), flaw.message)
        for flaw in flaws
    ]
    return Manifest(
        tuple(resources),
        tuple(problems),
        frozenset(broken_hosts),
        remnants=tuple(remnants),
        ignored_kinds=tuple(ignored),
    )


class _DocumentReader:
    """Reads one document to a model; `problems` says why if there is none."""

    def __init__(self, document: Document, source: str, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.ignored_kind: str | None = None
        self._document = document
        self._root = document.root
        self._source = source
        self._environ = environ
        self._unresolved: set[Path] = set()

    def read(self) -> Model | None:
        """Return the model, or None if the document is of another kind or faulty."""
        kind = self._kind()
        if kind is None:
            return None
        for flaw in self._document.flaws:
            self._add(flaw.line, flaw.column, flaw.path, flaw.message)
        if not self._document.is_complete:
            return None  # fields missing now would be reported as missing in the text
        data = self._value(_without_ignored(self._root), ())
        model = None
        try:
            model = _model(kind).model_validate(data, by_alias=True, by_name=False)
        except ValidationError as exc:
            for error in exc.errors(include_url=False):
                self._report(_model(kind), error)
        return None if self.problems else model

    def remnants(self) -> Iterator[Remnant]:
        """Return what can still be checked of a faulty LLMRoute."""
        if self._text("kind") != "LLMRoute" or not self.problems:
            return
        found = {problem.field for problem in self.problems}
        yield remnant_of(
            self._root,
            self._source,
            skip=lambda path: path in self._unresolved or format_field(path) in found,
        )

    def provider_host(self) -> str | None:
        """Return the host of a faulty LLMProvider, if that is valid."""
        kind, host = find(self._root, ("kind",)), find(self._root, _HOST)
        if not isinstance(kind, Scalar) or not isinstance(host, Scalar):
            return None
        if kind.value != "LLMProvider" or not isinstance(host.value, str):
            return None
        text, faults = substitute(host.value, self._environ)
        if faults:
            return None
        try:
            return check_host(text)
        except ValueError:
            return None

    def _kind(self) -> str | None:
        """Return the kind of the document if it is one of ours, in a version we read."""
        if isinstance(self._root, Scalar) and self._root.value is None:
            return None
        if not isinstance(self._root, nodes.Mapping):
            got = _given(self._root).kind
            self._complain(
                (), f"must be a mapping with apiVersion, kind, metadata and spec, got {got}"
            )
            return None
        kind, version = (self._text(name) for name in ("kind", "apiVersion"))
        if kind is None:
            self._complain(("kind",), "is missing or not a string: every document has a kind")
            return None
        if kind not in _VERSIONS:
            self.ignored_kind = kind
            if version is not None and version.startswith(_GROUPS):
                self._reject_kind(kind)
            return None
        if version not in _VERSIONS[kind]:
            got = "" if version is None else f", got {shown(version)}"
            self._complain(("apiVersion",), f"must be {' or '.join(_VERSIONS[kind])}{got}")
            return None
        return kind

    def _reject_kind(self, kind: str) -> None:
        if kind.startswith(_OTHER_KIND):
            message = f"{shown(kind)} is not supported here and is ignored"
            self._complain(("kind",), message, severity="warning")
        else:
            self._complain(("kind",), f"unknown kind {shown(kind)}; {suggest(kind, _VERSIONS)}")

    def _text(self, name: str) -> str | None:
        node = find(self._root, (name,))
        text = node.value if isinstance(node, Scalar) else None
        return text if isinstance(text, str) else None

    def _value(self, node: Node, path: Path) -> object:
        """Return a node as plain Python values, with `${NAME}` replaced."""
        if isinstance(node, nodes.Mapping):
            return {
                key: self._value(entry.value, (*path, key)) for key, entry in node.entries.items()
            }
        if isinstance(node, nodes.Sequence):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.items)]
        if node.value is None and _is_in_a_match(path):
            # Elsewhere null means absent. Here it would make a condition disappear.
            self._complain(path, "has no value; write {} for a header that must only be present")
            self._unresolved.add(path)
        if not isinstance(node.value, str):
            return node.value
        text, faults = substitute(node.value, self._environ)
        for fault in faults:
            self._complain(path, fault)
            self._unresolved.add(path)
        return text

    def _report(self, model: type[Model], error: ErrorDetails) -> None:
        path = field_path(error)
        node = find(self._root, path)
        if path in self._unresolved:
            return
        if error["type"] == "too_short" and isinstance(node, nodes.Sequence) and node.items:
            return  # the problems of its items are reported
        if error["type"] == "extra_forbidden":
            self._report_unknown(model, path)
            return
        given = None if node is None or is_about_a_key(error) else _given(node, path)
        line, column = (key_place if is_about_a_key(error) else place)(self._root, path)
        advice = ""
        if isinstance(node, Scalar) and given is not None and error["type"] in _MODEL_ERRORS:
            advice = _say_fields(known_fields(model, path), node)
        self._add(line, column, path, say(error, given) + advice)

    def _report_unknown(self, model: type[Model], path: Path) -> None:
        known = known_fields(model, path[:-1])
        line, column = key_place(self._root, path)
        self._add(line, column, path, f"unknown field; {suggest(str(path[-1]), known)}")

    def _complain(
        self, path: Path, message: str, severity: Literal["error", "warning"] = "error"
    ) -> None:
        line, column = place(self._root, path)
        self._add(line, column, path, message, severity)

    def _add(
        self,
        line: int,
        column: int,
        path: Path,
        message: str,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        field = format_field(without_key(path))
        self.problems.append(Problem(self._source, line, column, field, message, severity))


def _without_ignored(root: Node) -> Node:
    """Return a document without ignored parts, so that placeholders there are ignored too."""
    if not isinstance(root, nodes.Mapping):
        return root
    entries = {key: entry for key, entry in root.entries.items() if key != "status"}
    metadata = entries.get("metadata")
    if metadata is not None and isinstance(metadata.value, nodes.Mapping):
        node = metadata.value
        kept = {key: entry for key, entry in node.entries.items() if key in _KEPT_METADATA}
        pruned = nodes.Mapping(node.line, node.column, kept, node.size)
        entries["metadata"] = Entry(metadata.line, metadata.column, pruned)
    return nodes.Mapping(root.line, root.column, entries, root.size)


def _model(kind: str) -> type[Model]:
    model: type[Model] = getattr(config, kind)
    return model


_LISTS_OF_ITEMS = (("limits",), ("budgets",), ("guards",))


def _is_in_a_match(path: Path) -> bool:
    if path[:1] == ("spec",) and path[1:2] in _LISTS_OF_ITEMS:
        return "when" in path[3:-1] or "match" in path[3:-1]
    if path[:3] == ("spec", "cache", "when"):
        return len(path) > 4
    return len(path) > 4 and path[:2] == ("spec", "rules") and path[3] == "matches"


_MODEL_ERRORS = ("model_type", "model_attributes_type")
_MOST_NAMED = 6


def _say_fields(known: Collection[str], node: Scalar) -> str:
    """Say what to write instead of a value where a mapping with `known` fields is expected."""
    if node.text in known:
        return f"; write {node.text}: {{}}"
    return f"; expected one of: {', '.join(known)}" if 0 < len(known) <= _MOST_NAMED else ""


def _given(node: Node, path: Path = ()) -> Given:
    """Describe a node as it was written, before substitution."""
    if isinstance(node, nodes.Mapping):
        return Given("a mapping")
    if isinstance(node, nodes.Sequence):
        return Given("a list")
    if node.value is None:
        return Given("nothing")
    is_hidden = is_private(path) or "@" in node.text  # user information of a URL
    if isinstance(node.value, str):
        return Given("a string", None if is_hidden else shown(node.text))
    kind = "a boolean" if isinstance(node.value, bool) else "a number"
    return Given(kind, None if is_hidden else node.text)
