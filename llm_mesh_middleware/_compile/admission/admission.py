"""The credentials of a provider."""

from __future__ import annotations

from collections.abc import Callable

from ..._core.private import Discreet
from ..._core.provider.credential import Credential
from ..._core.provider.secrets import Secrets
from ..._schema.dialects import DialectConfig

__all__ = ["Admission"]


class Admission(Discreet, frozen=True):
    """How a provider is told who calls: a `key` for the dialect's own field, or a `credential`.

    `secrets` are the texts that must never be shown.
    """

    key: str | None = None
    credential: Callable[[DialectConfig, Secrets], Credential] | None = None
    secrets: tuple[str, ...] = ()
