"""The names of policy items, which are part of metrics and of store keys."""

import re
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["ItemName"]

_ITEM_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def _check_item_name(name: str) -> str:
    if not _ITEM_NAME.fullmatch(name):
        raise ValueError(
            "must be letters, digits, -, _ and . (at most 63), with a letter or digit at both ends"
        )
    return name


ItemName = Annotated[str, AfterValidator(_check_item_name)]
