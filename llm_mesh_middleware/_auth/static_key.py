"""Keys that are sent as they are, in a header field."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import ClassVar

from msgspec.structs import replace

from .._core.private import Discreet
from .._core.values.messages import Deadline, UpstreamRequest
from .._core.values.steps import Step, StepResult

__all__ = ["StaticHeader", "bearer_token"]


class StaticHeader(Discreet, frozen=True):
    """A key in the header field `name`, in place of any field of that name."""

    shown: ClassVar[tuple[str, ...]] = ("name",)

    name: bytes
    value: bytes

    def at_once(self, request: UpstreamRequest) -> UpstreamRequest:
        """Return the request with the key."""
        name, headers = self.name, request.headers
        for field in headers:
            if field[0] == name:
                headers = tuple([field for field in headers if field[0] != name])
                break
        return replace(request, headers=(*headers, (name, self.value)))

    def apply(
        self, request: UpstreamRequest, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, UpstreamRequest]:
        """Return the request with the key, without waiting."""
        return self.at_once(request)
        yield  # makes this a generator, like the credentials that fetch a token


def bearer_token(key: str) -> StaticHeader:
    """Return the credential that sends `key` as a Bearer token (RFC 6750 2.1)."""
    return StaticHeader(b"authorization", f"Bearer {key}".encode("latin-1"))
