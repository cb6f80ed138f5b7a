"""The interface of a credential; the credentials live in `_auth`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from ..values.messages import Deadline, UpstreamRequest
from ..values.steps import Step, StepResult

__all__ = ["Credential"]


class Credential(Protocol):
    """Authenticates calls to a provider. Immutable; concurrent calls share it."""

    def at_once(self, request: UpstreamRequest) -> UpstreamRequest | None:
        """Return `request` with the credential, or None if only `apply` can.

        Nearly every credential is a key that is there already, which takes no generator.
        """

    def apply(
        self, request: UpstreamRequest, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, UpstreamRequest]:
        """Return `request` with the credential; may wait for a token until `deadline`.

        It is applied last and once per attempt, so observers never see a key, and a signature
        covers the whole request.

        Raises:
            UpstreamError: the credential is not available.
        """
