"""A throw-away certificate authority, and the good and bad certificates it issues."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

__all__ = ["CertificateAuthority"]


class CertificateAuthority:
    """An authority that lives as long as the object; share one among the upstreams of a test.

    Raises:
        ImportError: `trustme` is not installed.
    """

    def __init__(self) -> None:
        self._ca = _new_authority()

    @property
    def pem(self) -> bytes:
        """The authority's certificate, for clients that trust it."""
        return self._ca.cert_pem.bytes()

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write `pem` to a file and return its path, ready for `LLM_MESH_CA_FILE`."""
        Path(path).write_bytes(self.pem)
        return Path(path)

    def write_certificate(self, path: str | os.PathLike[str], *names: str) -> Path:
        """Write a new key and its certificate into one file, for a client in mutual TLS."""
        Path(path).write_bytes(self._ca.issue_cert(*names).private_key_and_cert_chain_pem.bytes())
        return Path(path)

    def client_context(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority and no other."""
        return ssl.create_default_context(cadata=self.pem.decode())

    def issue(
        self,
        *names: str,
        expired: bool = False,
        self_signed: bool = False,
        require_client: bool = False,
    ) -> ssl.SSLContext:
        """Make a server's context with a new certificate for `names` (host names or addresses).

        Args:
            expired: it expired yesterday.
            self_signed: it is its own issuer and carries no names, so no client trusts it.
            require_client: clients must show a certificate of this authority.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self_signed:
            _load_self_signed(context)
        else:
            not_after = datetime.now(UTC) - timedelta(days=1) if expired else None
            self._ca.issue_cert(*names, not_after=not_after).configure_cert(context)
        if require_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem.decode())
        return context


def _new_authority() -> trustme.CA:
    try:
        import trustme
    except ImportError as error:
        raise ImportError(
            "TLS for FakeUpstream needs trustme: install llm-mesh-middleware[cli]"
        ) from error
    return trustme.CA()


def _load_self_signed(context: ssl.SSLContext) -> None:
    # An authority's own certificate is the one kind trustme signs with its own key.
    stranger = _new_authority()
    with stranger.cert_pem.tempfile() as certificate, stranger.private_key_pem.tempfile() as key:
        context.load_cert_chain(certificate, key)
