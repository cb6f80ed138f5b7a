"""The models below `InferencePool.spec`, of the Gateway API inference extension.

Unknown fields are ignored: they are for a picker in the cluster. `endpoints` is the mesh's own.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from ..active_check import ActiveCheck
from ..base import EXTENSION, ListOf, Name, Wire
from ..values import check_host_and_port, check_path

__all__ = ["EndpointPickerRef", "PickerPort", "InferencePoolSpec", "PoolMetrics", "TargetPort"]

_HIGHEST_PORT = 65535
_Port = Annotated[int, Field(ge=1, le=_HIGHEST_PORT)]


class TargetPort(Wire):
    """A port of the pool's servers; each port is an endpoint of its own."""

    model_config = ConfigDict(extra="ignore")

    number: _Port = Field(description="Port number. Required.")


class PoolMetrics(Wire):
    """The page on which each server of a pool reports its load."""

    path: Annotated[str, AfterValidator(check_path)] | None = Field(
        default=None, description="Path of the page. Default: /metrics."
    )
    port: _Port | None = Field(
        default=None, description="Port of the page. Default: the port of the server."
    )


class PickerPort(Wire):
    """The port of a picker."""

    model_config = ConfigDict(extra="ignore")

    number: _Port = Field(description="Port number. Required.")


class EndpointPickerRef(Wire):
    """The Service of the pool's endpoint picker."""

    model_config = ConfigDict(extra="ignore")

    name: Name = Field(description="Name of the Service. Required.")
    port: PickerPort | None = Field(default=None, description="Its port. Default: 9002.")
    port_number: _Port | None = Field(
        default=None, description="Its port, as v1alpha2 has it. Default: 9002."
    )
    failure_mode: Literal["FailClose", "FailOpen"] | None = Field(
        default=None,
        description="What to do if it fails. FailClose: refuse requests; FailOpen: the mesh picks."
        " Default: FailClose.",
    )


class InferencePoolSpec(Wire):
    """A pool of model servers that serve the same models."""

    model_config = ConfigDict(extra="ignore")

    selector: JsonValue = Field(
        default=None, description="Labels of the pods; for the cluster. Default: none."
    )
    target_ports: ListOf[TargetPort] = Field(
        default=(), description="Ports of each server. Default: targetPortNumber."
    )
    target_port_number: _Port | None = Field(
        default=None, description="Port of each server, as v1alpha2 has it. Default: none."
    )
    endpoints: ListOf[Annotated[str, AfterValidator(check_host_and_port)]] = Field(
        default=(),
        description="Addresses of the servers, with or without a port, for a mesh without a"
        " cluster. Default: none.",
        json_schema_extra=EXTENSION,
    )

    endpoint_picker_ref: EndpointPickerRef | None = Field(
        default=None,
        description="Endpoint picker, for a backendRef with picker: epp. Default: none.",
    )
    extension_ref: EndpointPickerRef | None = Field(
        default=None, description="The same, as v1alpha2 has it. Default: none."
    )
    endpoint_picker: Annotated[str, AfterValidator(check_host_and_port)] | None = Field(
        default=None,
        description="Address of the endpoint picker, if its Service cannot be reached by name."
        " Default: the Service of endpointPickerRef.",
        json_schema_extra=EXTENSION,
    )
    metrics: PoolMetrics | None = Field(
        default=None,
        description="Page with each server's load. Default: /metrics, at its own port.",
        json_schema_extra=EXTENSION,
    )
    active_check: ActiveCheck | None = Field(
        default=None,
        description="Health checks of each server. Default: none.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _some_port(self) -> Self:
        if not self.target_ports and self.target_port_number is None:
            raise ValueError("must have targetPorts, or targetPortNumber in v1alpha2")
        return self

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of each server."""
        named = tuple(port.number for port in self.target_ports)
        return named or (() if self.target_port_number is None else (self.target_port_number,))
