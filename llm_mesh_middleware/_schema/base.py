"""The base of all models of documents: strictness, camelCase, common types."""

from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic.config import JsonDict

from .values import check_file_name, check_host, check_name

__all__ = ["EXTENSION", "Count", "FileName", "Host", "ListOf", "Name", "StringMatch", "Wire"]

# Marks a field that ASM does not have.
EXTENSION: JsonDict = {"x-extension": True}

Item = TypeVar("Item")
# A YAML list is a list; everything inside stays strict.
ListOf = Annotated[tuple[Item, ...], Strict(False)]
Host = Annotated[str, AfterValidator(check_host)]
Name = Annotated[str, AfterValidator(check_name)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
FileName = Annotated[str, AfterValidator(check_file_name)]


def _to_camel(name: str) -> str:
    """Return a field's name in YAML. pydantic's own function takes four times as long."""
    first, *others = name.split("_")
    camel = first + "".join(map(str.capitalize, others))
    return camel.replace("openAi", "openAI").replace("OpenAi", "OpenAI")


class Wire(BaseModel):
    """A mapping in a document: no unknown fields, no conversions, immutable."""

    model_config = ConfigDict(
        alias_generator=_to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        defer_build=True,  # built on first use, to keep the import fast
    )


class StringMatch(Wire):
    """A test of a string: at most one of the fields; without one, any value passes."""

    model_config = ConfigDict(json_schema_extra={"maxProperties": 1})

    exact: str | None = Field(default=None, description="The whole value, case-sensitive.")
    prefix: str | None = Field(
        default=None, description="The beginning of the value, case-sensitive."
    )
    regex: str | None = Field(default=None, description="Regular expression for the whole value.")

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(test is not None for test in (self.exact, self.prefix, self.regex)) > 1:
            raise ValueError("must have at most one of exact, prefix and regex")
        return self
