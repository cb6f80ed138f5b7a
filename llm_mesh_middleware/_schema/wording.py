"""Messages of configuration problems: the field, the value as written, the advice.

pydantic finds the problems. Its own messages are for programmers and may repeat the input, so they
are shown only for kinds of problems that no table here covers.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import msgspec
from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

__all__ = [
    "Given",
    "Path",
    "fault_at",
    "field_path",
    "format_field",
    "is_about_a_key",
    "known_fields",
    "say",
    "shown",
    "suggest",
]

Path = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 60
_KEY_MARK = "[key]"  # pydantic appends it to the path if a key itself is wrong

_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}
_CONTAINERS = ("a mapping", "a list")


class Given(msgspec.Struct, frozen=True):
    """A wrong value: its kind (`a string`, `a list`), and its text if that may be shown."""

    kind: str
    text: str | None = None


def shown(text: str) -> str:
    """Return the first line of a text in quotes, shortened to 60 characters."""
    line = text.splitlines()[0] if text.splitlines() else ""
    cut = line[:_LONGEST_SHOWN]
    return repr(cut if cut == text else f"{cut}…")


def format_field(path: Path) -> str:
    """Write a path as `spec.rules[0].backendRefs`."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif not _PLAIN_KEY.fullmatch(part):
            parts.append(f"[{shown(part)}]")
        else:
            parts.append(f".{part}" if parts else part)
    return "".join(parts)


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggest a similar name, or list the valid ones; for the end of a sentence."""
    by_letters = {_letters(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(_letters(name), by_letters, n=1)
    if near:
        return f"did you mean `{by_letters[near[0]]}`?"
    return f"expected one of: {', '.join(by_letters.values())}"


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def fault_at(path: Path, message: str) -> PydanticCustomError:
    """Return an error for a validator, at a path below the checked value."""
    return PydanticCustomError("mesh_fault", "{message}", {"message": message, "below": path})


def field_path(error: ErrorDetails) -> Path:
    """Return the path of pydantic's error in the document."""
    path = tuple(part for part in error["loc"] if part != _KEY_MARK)
    below: Path = error.get("ctx", {}).get("below", ())
    return path + below


def is_about_a_key(error: ErrorDetails) -> bool:
    """Return whether the last key of the path is wrong rather than its value."""
    return error["type"] == "extra_forbidden" or error["loc"][-1:] == (_KEY_MARK,)


def say(error: ErrorDetails, given: Given | None = None) -> str:
    """Return the message for a pydantic error."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "too_short":
        return f"must have at least {_items(context['min_length'])}"
    if kind in _EXPECTED:
        return _say_expected(_EXPECTED[kind], given)
    return _with_value(_sentence(error, context), given)


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _sentence(error: ErrorDetails, context: Mapping[str, Any]) -> str:
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "mesh_fault":
            return str(context["message"])
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "greater_than":
            return f"must be more than {context['gt']:g}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']:.0f}"
    return error["msg"]


def _say_expected(expected: str, given: Given | None) -> str:
    if given is None:
        return f"must be {expected}"
    if expected in _CONTAINERS or given.text is None:
        got = given.kind
    elif given.kind == "a string":
        got = f"the string {given.text}"
    else:
        got = given.text
    advice = "; put it in quotes" if _wants_quotes(expected, given) else ""
    return f"must be {expected}, got {got}{advice}"


def _wants_quotes(expected: str, given: Given) -> bool:
    return expected == "a string" and given.kind in ("a number", "a boolean")


def _with_value(message: str, given: Given | None) -> str:
    return message if given is None or given.text is None else f"{message}, got {given.text}"


def known_fields(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """Return the YAML names of the fields of the mapping at `path` below a model."""
    here: Any = model
    for part in path:
        here = _step(_bare(here), part)
    here = _bare(here)
    return _aliases(here) if _is_model(here) else ()


def _step(here: Any, part: str | int) -> Any:
    if _is_model(here):
        names = dict(zip(_aliases(here), here.model_fields, strict=True))
        return here.model_fields[names[str(part)]].annotation if part in names else None
    if get_origin(here) in (tuple, dict):
        return get_args(here)[0 if get_origin(here) is tuple else 1]
    return None


def _bare(annotation: Any) -> Any:
    """Return an annotation without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    members = [member for member in get_args(annotation) if member is not NoneType]
    if NoneType in get_args(annotation) and len(members) == 1:
        return _bare(members[0])
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _aliases(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())
