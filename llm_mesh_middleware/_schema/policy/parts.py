"""The parts that limits and budgets count by: `consumer`, `attribute:team`."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from ..values import check_header_name, check_name
from ..wording import fault_at

__all__ = ["AttributeSource", "Part", "check_headers"]

_PLAIN_PARTS = ("consumer", "model", "provider", "host")
_PARTS = "must be consumer, model, provider, host, attribute:NAME or header:NAME"
_PATTERN = "^(?:consumer|model|provider|host|attribute:.+|header:.+)$"


def _check_part(part: str) -> str:
    kind, colon, name = part.partition(":")
    if part in _PLAIN_PARTS:
        return part
    if not colon or kind not in ("attribute", "header"):
        raise ValueError(_PARTS)
    (check_header_name if kind == "header" else check_name)(name)
    return part


def _check_attribute(source: str) -> str:
    kind, _, name = source.partition(":")
    if kind != "attribute":
        raise ValueError("must be attribute:NAME: a header would let clients choose their limit")
    check_name(name)
    return source


def check_headers(parts: Sequence[str], *, are_trusted: bool) -> None:
    """Refuse a header unless headers are trusted."""
    for index, part in enumerate(parts):
        if part.startswith("header:") and not are_trusted:
            message = "is a header, which a client can choose; set trustHeaders: true if it may"
            raise fault_at(("by", index), message)


Part = Annotated[str, AfterValidator(_check_part), Field(json_schema_extra={"pattern": _PATTERN})]
AttributeSource = Annotated[str, AfterValidator(_check_attribute)]
