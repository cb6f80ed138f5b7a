"""The common fields of all documents: format version, name, namespace."""

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from .base import Name, Wire

__all__ = ["DocumentModel", "ObjectMeta"]

_REQUIRED: JsonDict = {"required": ["apiVersion", "kind", "metadata", "spec"]}


class ObjectMeta(Wire):
    """The name of a document; all other Kubernetes metadata is ignored."""

    model_config = ConfigDict(extra="ignore")

    name: Name = Field(description="Name of the document, unique for its kind in its namespace.")
    namespace: Name | None = Field(
        default=None, description="Namespace of the document. Default: that of the mesh."
    )


class DocumentModel(Wire):
    """The base of the models of documents."""

    model_config = ConfigDict(json_schema_extra=_REQUIRED)

    api_version: Literal["istio.alibabacloud.com/v1beta1", "istio.alibabacloud.com/v1"] = Field(
        default="istio.alibabacloud.com/v1beta1", description="Version of the format."
    )
    metadata: ObjectMeta = Field(description="Name and namespace.")
    status: object = Field(
        default=None, exclude=True, repr=False, description="Written by a control plane; ignored."
    )
