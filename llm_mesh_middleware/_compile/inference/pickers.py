"""The endpoint picker that a `backendRef` with `picker: epp` asks."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib.util import find_spec

from ..._core.provider.servers.picker import EndpointPicker, PickerTLS
from ..._core.values.endpoint import TLSFiles
from ..._process.files import FileVersion, version_of
from ...config import InferencePoolRef, InferencePoolSpec
from ...config import PickerTLS as TLSConfig
from ..tls_files import named_files, tls_faults

__all__ = ["Fault", "compile_picker"]

_PORT = 9002

Fault = tuple[tuple[str, ...], str]
"""A field below `backendRef`, and what is wrong with it."""


def compile_picker(
    ref: InferencePoolRef,
    spec: InferencePoolSpec,
    namespace: str,
    files: MutableMapping[str, FileVersion],
) -> EndpointPicker | Fault:
    """Return the picker of a pool, or the fault of its configuration.

    Args:
        ref: the reference to the pool.
        spec: the pool.
        namespace: the pool's namespace.
        files: gets the files that are read.
    """
    service = spec.endpoint_picker_ref or spec.extension_ref
    address = spec.endpoint_picker
    if service is None and address is None:
        return ("picker",), "has picker: epp, but the pool has no endpointPickerRef"
    if find_spec("h2") is None:
        message = "has picker: epp: install llm-mesh-middleware[epp] to ask endpoint pickers"
        return ("picker",), message
    if address is None and service is not None:
        port = service.port.number if service.port is not None else service.port_number
        # This name resolves in every namespace, and is the one in certificates of Services.
        address = f"{service.name}.{namespace}.svc:{port or _PORT}"
    tls = None if ref.picker_tls is None else _tls(ref.picker_tls)
    if tls is not None:
        files.update((name, version_of(name)) for name in named_files(tls.files))
        for field, message in tls_faults(tls.files):
            return ("pickerTLS", field), message
    fails_open = service is not None and service.failure_mode == "FailOpen"
    return EndpointPicker(address or "", fails_open, tls)


def _tls(config: TLSConfig) -> PickerTLS:
    files = TLSFiles(config.ca_file, config.client_cert_file, config.client_key_file)
    return PickerTLS(files, config.server_name, config.insecure_skip_verify)
