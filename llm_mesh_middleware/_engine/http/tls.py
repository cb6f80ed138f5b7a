"""TLS contexts for upstream connections."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from functools import lru_cache

from ..._core.values.endpoint import TLSFiles
from ..._files import FileVersion, version_of

__all__ = ["TLSContexts"]


# Where OpenSSL looks for the system's authorities, if these say so.
_SYSTEM = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class TLSContexts:
    """One context per set of files, in the version they had when they were last loaded."""

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
            context = self._contexts[files] = self._make(files)
        return context

    def load(self, wanted: Iterable[TLSFiles]) -> None:
        """Read what has changed of the `wanted` files, and forget all others.

        A context whose files are as they were stays the same, and so do its connections.

        Raises:
            OSError: a file cannot be used; then everything stays as it was.
        """
        self._contexts = {files: self._make(files) for files in wanted}

    def uses(self, context: ssl.SSLContext) -> bool:
        """Whether `context` is in the version of its files that counts."""
        return any(context is used for used in self._contexts.values())

    def _make(self, files: TLSFiles) -> ssl.SSLContext:
        names = (self._ca_file, files.ca_file, files.client_cert_file, files.client_key_file)
        system = map(os.environ.get, _SYSTEM)
        return _create(*names, *map(_version, names), *system)


def _version(name: str | None) -> FileVersion:
    """What changes when a file does."""
    return None if name is None else version_of(name)


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
