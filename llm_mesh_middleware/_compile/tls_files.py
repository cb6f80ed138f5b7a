"""Checks of the certificate files that documents name, made before a request needs them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from .._core.values.endpoint import TLSFiles

__all__ = ["named_files", "tls_faults"]


def named_files(files: TLSFiles) -> Iterator[str]:
    """Yield the names of the files."""
    for name in (files.ca_file, files.client_cert_file, files.client_key_file):
        if name is not None:
            yield name


def tls_faults(files: TLSFiles) -> Iterator[tuple[str, str]]:
    """Yield the field of each file that cannot be used, and why."""
    if not any(named_files(files)):
        return  # to make a context takes longer than all else of a provider
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if files.ca_file is not None:
            context.load_verify_locations(files.ca_file)
    except OSError as exc:
        yield "caFile", f"cannot be used: {exc.strerror or exc}"
    try:
        if files.client_cert_file is not None:
            context.load_cert_chain(files.client_cert_file, files.client_key_file)
    except OSError as exc:
        yield "clientCertFile", f"cannot be used with its key: {exc.strerror or exc}"
