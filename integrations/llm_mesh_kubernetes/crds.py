"""The custom resource definitions, made from the models: `python -m llm_mesh_kubernetes.crds`.

Kubernetes requires a structural schema: without references, and with one type for each value.
Constraints that it cannot express (references, alternative fields) are reported in the conditions.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from llm_mesh_middleware.config import LLMPolicy, LLMProvider, LLMRoute, json_schema

from .resources import CUSTOM, Custom

__all__ = ["make_crds", "structural"]

_HEAD = "# Made by `python -m llm_mesh_kubernetes.crds`. Do not edit.\n"
_Schema = Mapping[str, Any]
_Model = type[LLMProvider] | type[LLMRoute] | type[LLMPolicy]
_MODELS: tuple[_Model, ...] = (LLMProvider, LLMRoute, LLMPolicy)

# Without defaults, which the API server would write into every object.
_KEPT = (
    "description",
    "type",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "maxProperties",
    "required",
)
_INT_OR_STRING = "x-kubernetes-int-or-string"
_ANYTHING = "x-kubernetes-preserve-unknown-fields"

_CONDITION = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    "properties": {
        "type": {"type": "string", "maxLength": 316},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
        "message": {"type": "string", "maxLength": 32768},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
    },
}
_STATUS = {
    "description": "Written by meshes: whether the object can be used, or why not.",
    "type": "object",
    _ANYTHING: True,
    "properties": {
        "conditions": {
            "type": "array",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    },
}


def make_crds() -> list[dict[str, Any]]:
    """Return the definitions of all kinds."""
    return [_crd(custom, model) for custom, model in zip(CUSTOM, _MODELS, strict=True)]


def _crd(custom: Custom, model: _Model) -> dict[str, Any]:
    names = {
        "kind": custom.kind,
        "listKind": f"{custom.kind}List",
        "plural": custom.plural,
        "singular": custom.kind.lower(),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{custom.plural}.{custom.group}"},
        "spec": {
            "group": custom.group,
            "names": names,
            "scope": "Namespaced",
            "versions": [_version(name, custom, model) for name in custom.versions],
        },
    }


def _version(name: str, custom: Custom, model: _Model) -> dict[str, Any]:
    schema: Any = json_schema(model)
    spec = structural(schema["properties"]["spec"], schema["$defs"])
    root = {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _STATUS,
        },
    }
    return {
        "name": name,
        "served": True,
        "storage": name == custom.versions[0],
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            *([_column("Host", ".spec.host")] if "host" in spec["properties"] else []),
            _column("Accepted", _condition_path("Accepted")),
            _column("Resolved", _condition_path("ResolvedRefs")),
            {**_column("Age", ".metadata.creationTimestamp"), "type": "date"},
        ],
        "schema": {"openAPIV3Schema": root},
    }


def _column(name: str, path: str) -> dict[str, str]:
    return {"name": name, "type": "string", "jsonPath": path}


def _condition_path(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


def structural(schema: _Schema, definitions: Mapping[str, _Schema]) -> dict[str, Any]:
    """Return pydantic's JSON Schema as a structural schema."""
    schema = _resolved(schema, definitions)
    made = {name: schema[name] for name in _KEPT if name in schema}
    if "anyOf" in schema:
        return _int_or_string(made, schema["anyOf"])
    if "type" not in schema:
        return {**made, _ANYTHING: True}
    if "properties" in schema:
        made["properties"] = {
            name: structural(inner, definitions) for name, inner in schema["properties"].items()
        }
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        made["additionalProperties"] = structural(others, definitions)
    if "items" in schema:
        made["items"] = structural(schema["items"], definitions)
    return made


def _resolved(schema: _Schema, definitions: Mapping[str, _Schema]) -> _Schema:
    """Return a schema without references and null; members next to a reference override its own."""
    while True:
        inner = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
        if "$ref" in schema:
            found = definitions[schema["$ref"].rpartition("/")[2]]
        elif len(inner) == 1:
            (found,) = inner
        elif inner and len(inner) < len(schema["anyOf"]):
            found = {"anyOf": inner}
        elif len(inner) > 1 and any("anyOf" in each for each in inner):
            raise ValueError("there is no structural schema of nested alternatives")
        else:
            return schema
        schema = {**found, **{k: v for k, v in schema.items() if k not in ("$ref", "anyOf")}}


def _int_or_string(made: dict[str, Any], alternatives: Sequence[_Schema]) -> dict[str, Any]:
    """Return the schema of a whole number or a text, the only alternatives that Kubernetes has."""
    types = {each.get("type") for each in alternatives}
    if not types <= {"integer", "number", "string"}:
        raise ValueError(f"there is no structural schema of one of {alternatives}")
    if "number" in types:
        made["description"] += " Here a number is whole; write a fraction with its unit, 500ms."
    patterns = [each["pattern"] for each in alternatives if "pattern" in each]
    return {**made, **({"pattern": patterns[0]} if patterns else {}), _INT_OR_STRING: True}


def main() -> None:
    """Write the definitions to standard output."""
    sys.stdout.write(dump())


def dump() -> str:
    """Return the definitions as YAML."""
    return _HEAD + yaml.dump_all(
        make_crds(), Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True
    )


class _Plain(yaml.SafeDumper):
    """Writes no anchors: repeated values are repeated."""

    def ignore_aliases(self, data: object) -> bool:
        return True


if __name__ == "__main__":
    main()
