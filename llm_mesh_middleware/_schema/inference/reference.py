"""The models below `backendRef`: the pool, and the picker of its servers."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ..base import EXTENSION, FileName, Host, Name, Wire
from ..wording import fault_at

__all__ = ["InferencePoolRef", "PickerTLS"]

_HIGHEST_PORT = 65535


class PickerTLS(Wire):
    """TLS to an endpoint picker."""

    ca_file: FileName | None = Field(
        default=None, description="PEM bundle to trust for it. Default: the mesh's trust store."
    )
    server_name: Host | None = Field(
        default=None,
        description="Name in SNI and in the certificate. Default: the name of its Service.",
    )
    client_cert_file: FileName | None = Field(
        default=None, description="PEM client certificate, perhaps with its key. Default: none."
    )
    client_key_file: FileName | None = Field(
        default=None, description="PEM key of clientCertFile. Default: the key in clientCertFile."
    )
    insecure_skip_verify: bool = Field(
        default=False,
        description="Accept any certificate, for a picker with a self-signed one. Default: false.",
    )

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if self.client_key_file is not None and self.client_cert_file is None:
            raise ValueError("has a clientKeyFile but no clientCertFile")
        return self


class InferencePoolRef(Wire):
    """A pool of model servers, by its InferencePool document."""

    group: str | None = Field(
        default=None, description="API group. Default: that of InferencePool."
    )
    kind: str | None = Field(
        default=None, description="Kind of the object. Default: InferencePool."
    )
    name: Name = Field(description="Name of the pool.")
    namespace: Name | None = Field(default=None, description="Its namespace. Default: the route's.")
    port: int | None = Field(
        default=None, ge=1, le=_HIGHEST_PORT, description="Port of the pool. Default: its own."
    )
    picker: Literal["mesh", "epp"] | None = Field(
        default=None,
        description="Who picks the server of a request. mesh: the mesh, by the servers' metrics;"
        " epp: the endpoint picker of the pool (extra epp). Default: mesh.",
        json_schema_extra=EXTENSION,
    )
    picker_tls: PickerTLS | None = Field(
        default=None,
        alias="pickerTLS",
        description="TLS to the endpoint picker; {} is TLS with the defaults. Default: plain text.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _tls_with_picker(self) -> Self:
        if self.picker_tls is not None and self.picker != "epp":
            raise fault_at(("pickerTLS",), "is for picker: epp")
        return self
