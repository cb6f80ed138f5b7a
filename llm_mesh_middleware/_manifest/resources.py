"""Documents as resources, and the secrets of a cluster that they refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from .._core.private import Discreet
from .._schema.wording import Path, format_field
from ..exceptions import Problem
from .nodes import Node, Scalar
from .places import find, place
from .remnants import Remnant

if TYPE_CHECKING:
    from ..config import Document as Model

__all__ = ["PYTHON", "Manifest", "Resource", "Secret", "SecretName"]

PYTHON = "<python>"
# Namespace and name.
SecretName = tuple[str, str]


class Secret(Discreet, frozen=True):
    """The data of a Kubernetes Secret, decoded; or in `fault` the reason why there is none.

    A fault continues the sentence that begins with the Secret's name: `does not exist`.
    """

    shown: ClassVar[tuple[str, ...]] = ("fault",)

    data: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    fault: str = ""


class Resource(Discreet, frozen=True):
    """A document that is valid in itself, with the place of everything in it."""

    shown: ClassVar[tuple[str, ...]] = ("model", "namespace", "name", "source")

    model: Model
    namespace: str
    name: str
    source: str = PYTHON
    # Only the model is compared and shown; the nodes hold the text of API keys.
    root: Node | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[Model, str, str]:
        return self.model, self.namespace, self.name

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        default_namespace: str = "default",
        source: str = PYTHON,
        root: Node | None = None,
    ) -> Resource:
        """Return a resource for a model made in Python, without source and nodes."""
        metadata = model.metadata
        return cls(model, metadata.namespace or default_namespace, metadata.name, source, root)

    def problem(
        self,
        path: Path,
        message: str,
        severity: Literal["error", "warning"] = "error",
    ) -> Problem:
        """Return a problem with the field at a camelCase path, as `("spec", "rules", 0, "name")`.

        Its place is that of the field's value, or of the nearest mapping or list around a missing
        field.
        """
        line, column = place(self.root, path)
        return Problem(self.source, line, column, format_field(path), message, severity)

    def has_literal(self, path: Path) -> bool:
        """Return whether a file has literal text at the path, without `${NAME}`."""
        node = None if self.root is None else find(self.root, path)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return False
        return "${" not in node.text.replace("$${", "")


class Manifest(Discreet, frozen=True):
    """The usable resources of a configuration, and every problem with it.

    Attributes:
        resources: documents that are valid in themselves.
        problems: the errors of the others, and warnings.
        broken_hosts: hosts of providers that are unusable; a route to one is not to blame.
        secrets: those that `secretKeyRef` names, by namespace and name; None if the source has no
            cluster to read them from.
        remnants: the parts of unusable routes that can still be checked.
        ignored_kinds: the kind of each document that is none of the mesh's.
        may_be_cut: whether a file ends inside a line, as one that is still being written does.
    """

    shown: ClassVar[tuple[str, ...]] = ("resources", "problems", "broken_hosts")

    resources: tuple[Resource, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken_hosts: frozenset[str] = frozenset()
    secrets: Mapping[SecretName, Secret] | None = None
    remnants: tuple[Remnant, ...] = ()
    ignored_kinds: tuple[str, ...] = ()
    may_be_cut: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and self._compared() == other._compared()

    __hash__ = None  # type: ignore[assignment]  # it holds mappings

    def _compared(self) -> tuple[object, ...]:
        return self.resources, self.problems, self.broken_hosts, self.secrets
