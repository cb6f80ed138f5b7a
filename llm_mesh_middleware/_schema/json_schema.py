"""JSON Schema (2020-12) of the documents, for editors and for Kubernetes.

A schema cannot express everything: `validate` checks references, and exactly one of several fields.
"""

from collections.abc import Sequence

from pydantic import BaseModel, JsonValue
from pydantic.config import JsonDict
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

__all__ = ["make_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Omits the titles that pydantic makes from attribute names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonDict:
        """Return a schema with plain defaults only: null and empty values mean the same as none,
        and Kubernetes would write them into every document."""
        made = super().default_schema(schema)
        if not isinstance(made.get("default"), str | int):
            made.pop("default", None)
        return made


def make_schema(models: Sequence[type[BaseModel]]) -> dict[str, JsonValue]:
    """Return the schema of documents of any of the models; one model needs no choice."""
    if len(models) == 1:
        own = models[0].model_json_schema(schema_generator=_Generator)
        return {"$schema": _DIALECT, **own}
    references, schema = models_json_schema(
        [(model, "validation") for model in models], schema_generator=_Generator
    )
    any_of_them: list[JsonValue] = [dict(reference) for reference in references.values()]
    return {"$schema": _DIALECT, "oneOf": any_of_them, **schema}
