"""TLS contexts for upstream connections."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

from .._core.upstream import TLSFiles

__all__ = ["TLSContexts"]


# Where OpenSSL looks for the system's authorities, if these say so.
_SYSTEM = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class TLSContexts:
    """One context per set of files, for the life of a mesh."""

    def __init__(self, ca_file: str | None = None) -> None:
        """`ca_file` is trusted beside the system's own authorities (`LLM_MESH_CA_FILE`)."""
        self._ca_file = ca_file
        self._contexts: dict[TLSFiles, ssl.SSLContext] = {}

    def get(self, files: TLSFiles) -> ssl.SSLContext:
        """The context for `files`.

        Raises:
            OSError: a file cannot be read or holds no certificate.
        """
        context = self._contexts.get(files)
        if context is None:
            names = (self._ca_file, files.ca_file, files.client_cert_file, files.client_key_file)
            system = map(os.environ.get, _SYSTEM)
            context = self._contexts[files] = _create(*names, *map(_version, names), *system)
        return context


def _version(name: str | None) -> tuple[int, int] | None:
    """What changes when a file does."""
    if name is None:
        return None
    status = os.stat(name)
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=32)
def _create(
    ca_file: str | None,
    own_ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
    *_: object,
) -> ssl.SSLContext:
    """Reading a trust store takes 20 ms, so meshes of one process share what is the same."""
    context = ssl.create_default_context()
    for name in (ca_file, own_ca_file):
        if name is not None:
            context.load_verify_locations(name)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context
