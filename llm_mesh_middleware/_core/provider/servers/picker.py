"""An endpoint picker in the cluster: the request to it, its pick, and later reports."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ...values.endpoint import TLSFiles

__all__ = ["EndpointPicker", "PickRequest", "Picked", "PickerCall", "PickerTLS"]


class PickerTLS(msgspec.Struct, frozen=True):
    """How a picker's certificate is verified: by files and a name, or not at all."""

    files: TLSFiles = TLSFiles()
    server_name: str | None = None
    skips_verification: bool = False


class EndpointPicker(msgspec.Struct, frozen=True):
    """The address of a picker, in plain text or with TLS.

    `fails_open`: if it does not respond, the mesh picks a server.
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
    """The stream to a picker about one request; its methods neither wait nor fail."""

    def served(self, status: int, address: str) -> None:
        """Report the status of the response, and the address and port of its server."""

    def end(self) -> None:
        """Report that the response has ended, or that there is none."""


class Picked(msgspec.Struct, frozen=True):
    """The pick: addresses with ports, the best first.

    `status` is that of a refusal, 429 to shed load, 503 without a server; 0 if it did not respond.
    `call` is open until the response has ended.
    """

    addresses: tuple[str, ...] = ()
    status: int = 200
    call: PickerCall | None = None
