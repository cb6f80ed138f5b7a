"""The Secrets of a cluster that documents refer to, as far as their source could read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Secret", "SecretName"]

# Namespace and name.
SecretName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Secret:
    """The data of a Kubernetes Secret, decoded; or in `fault` the reason why there is none.

    A fault continues the sentence that begins with the Secret's name: `does not exist`.
    """

    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    fault: str = ""
