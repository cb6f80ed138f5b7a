"""An endpoint picker in the cluster: the question, its pick, and the reports that follow."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ...values.endpoint import TLSFiles

__all__ = ["EndpointPicker", "PickRequest", "Picked", "PickerCall", "PickerTLS"]


class PickerTLS(msgspec.Struct, frozen=True):
    """How a picker's certificate is checked: by its files and its name, or not at all."""

    files: TLSFiles = TLSFiles()
    server_name: str | None = None
    skips_verification: bool = False


class EndpointPicker(msgspec.Struct, frozen=True):
    """Where a picker listens, in plain text or by TLS.

    `fails_open`: without it the mesh picks by itself.
    """

    address: str
    fails_open: bool = False
    tls: PickerTLS | None = None


class PickRequest(msgspec.Struct, frozen=True):
    """The request that servers are picked for; `headers` begin with its pseudo-headers."""

    picker: EndpointPicker
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        return f"PickRequest({self.picker.address!r})"  # headers and body hold prompts


class PickerCall(Protocol):
    """The exchange with a picker about one request; nothing here waits or fails."""

    def served(self, status: int, address: str) -> None:
        """Tell the status of the response, and the address and port that it came from."""

    def end(self) -> None:
        """Tell that the response has ended, or that there is none."""


class Picked(msgspec.Struct, frozen=True):
    """What a picker says: addresses with ports, the best first.

    `status` is that of a refusal, 429 where it sheds load, 503 where it has no server; 0 if it did
    not respond. `call` goes on until the response has ended.
    """

    addresses: tuple[str, ...] = ()
    status: int = 200
    call: PickerCall | None = None
