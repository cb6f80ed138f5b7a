"""TLS contexts for upstream connections."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from functools import lru_cache

from .._core.values.endpoint import TLSFiles
from .._process.files import FileVersion, version_of

__all__ = ["TLSContexts", "tls_reason"]


# Environment variables for OpenSSL's certificate authorities.
_SYSTEM = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class TLSContexts:
    """One context per set of files, in the versions loaded last."""

    def __init__(self, ca_file: str | None = None) -> None:
        """Trust `ca_file` (`LLM_MESH_CA_FILE`) in addition to the system's authorities."""
        self._ca_file = ca_file
        self._contexts: dict[TLSFiles, ssl.SSLContext] = {}

    def get(self, files: TLSFiles) -> ssl.SSLContext:
        """Return the context for `files`.

        Raises:
            OSError: a file cannot be read or holds no certificate.
        """
        context = self._contexts.get(files)
        # gevent and truststore replace the class, possibly after the configuration was loaded; a
        # context of the old class cannot wrap their sockets.
        if context is None or type(context) is not ssl.SSLContext:
            context = self._contexts[files] = self._make(files)
        return context

    def load(self, wanted: Iterable[TLSFiles]) -> None:
        """Reload the `wanted` files that have changed, and drop all others.

        A context whose files have not changed is kept, and so are its connections.

        Raises:
            OSError: a file cannot be used; nothing is changed.
        """
        self._contexts = {files: self._make(files) for files in wanted}

    def uses(self, context: ssl.SSLContext) -> bool:
        """Return whether `context` uses the versions of its files loaded last."""
        return any(context is used for used in self._contexts.values())

    def _make(self, files: TLSFiles) -> ssl.SSLContext:
        names = (self._ca_file, files.ca_file, files.client_cert_file, files.client_key_file)
        system = map(os.environ.get, _SYSTEM)
        return _create(ssl.SSLContext, *names, *map(_version, names), *system)


def _version(name: str | None) -> FileVersion:
    """Return a value that changes when the file `name` does."""
    return None if name is None else version_of(name)


@lru_cache(maxsize=32)
def _create(
    _: type[ssl.SSLContext],
    ca_file: str | None,
    own_ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
    *_versions: object,
) -> ssl.SSLContext:
    """Create a context, shared by the meshes of a process: a trust store takes 20 ms to read."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    for name in (ca_file, own_ca_file):
        if name is not None:
            context.load_verify_locations(name)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context


def tls_reason(exc: BaseException | None) -> str:
    """Say why a TLS session could not begin, in words that clients may read."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(exc.verify_code, "its certificate is not trusted")
    if isinstance(exc, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the connection was closed in the TLS handshake"
    return "the TLS handshake failed"


_UNKNOWN = "its certificate is not from a known authority (LLM_MESH_CA_FILE adds one)"
# By OpenSSL's X509_V_ERR_*.
_CERTIFICATES = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: _UNKNOWN,  # self-signed
    19: _UNKNOWN,  # self-signed in the chain
    20: _UNKNOWN,  # no issuer
    21: _UNKNOWN,  # no issuer of the first
    62: "its certificate is for another host name",
    64: "its certificate is for another IP address",
}
