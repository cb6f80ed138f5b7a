"""TLS contexts for pickers."""

from __future__ import annotations

import ssl

from ...._core.provider.servers.picker import PickerTLS

__all__ = ["make_context"]


def make_context(tls: PickerTLS, ca_file: str | None) -> ssl.SSLContext:
    """Return a context that speaks HTTP/2 only.

    Args:
        tls: what the manifest says.
        ca_file: trusted in addition (`LLM_MESH_CA_FILE`).

    Raises:
        OSError: a file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    for name in (ca_file, tls.files.ca_file):
        if name is not None:
            context.load_verify_locations(name)
    if tls.files.client_cert_file is not None:
        context.load_cert_chain(tls.files.client_cert_file, tls.files.client_key_file)
    if tls.skips_verification:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
