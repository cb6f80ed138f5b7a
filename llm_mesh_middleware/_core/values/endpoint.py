"""The address at which one provider is reached."""

from __future__ import annotations

import msgspec

__all__ = ["Endpoint", "TLSFiles"]


class TLSFiles(msgspec.Struct, frozen=True):
    """Files for the TLS connection to one provider; None stands for the process's own."""

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """Where to connect, and whose name the certificate must carry.

    `provider_host` is the name in messages; the address of an override is not disclosed.
    """

    provider_host: str
    scheme: str
    address: str
    port: int
    server_name: str
    tls: TLSFiles = TLSFiles()

    def __hash__(self) -> int:
        # Every attempt looks up an endpoint's health; hashing all fields would take five times as
        # long.
        return hash((self.address, self.port))
