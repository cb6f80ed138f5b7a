"""What the core needs from a credential; the credentials live in `_auth`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from ..values.messages import Deadline, UpstreamRequest
from ..values.steps import Step, StepResult

__all__ = ["Credential"]


class Credential(Protocol):
    """Makes a provider accept a call. Immutable; it may be used by any number of calls at once."""

    def apply(
        self, request: UpstreamRequest, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, UpstreamRequest]:
        """Return `request` as the provider accepts it; may wait for a token until `deadline`.

        It is the last to change a request, and does so for each attempt: whoever observes requests
        never sees a key, and a signature covers everything that is sent.

        Raises:
            UpstreamError: the credential cannot be had.
        """
