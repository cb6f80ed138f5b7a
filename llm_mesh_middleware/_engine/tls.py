"""TLS contexts for upstream connections."""

from __future__ import annotations

import ssl

from .._core.upstream import TLSFiles

__all__ = ["TLSContexts"]


class TLSContexts:
    """One context per set of files: loading a trust store takes milliseconds."""

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
            context = self._contexts[files] = self._create(files)
        return context

    def _create(self, files: TLSFiles) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for ca_file in (self._ca_file, files.ca_file):
            if ca_file is not None:
                context.load_verify_locations(ca_file)
        if files.client_cert_file is not None:
            context.load_cert_chain(files.client_cert_file, files.client_key_file)
        return context
