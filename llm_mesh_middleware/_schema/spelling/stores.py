"""URLs of stores as settings write them; they may hold a password."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

__all__ = ["StoreURL"]

_STORE = re.compile(r"memory:|(?:rediss?(?:\+cluster)?|unix)://[^\s]+")


def _check_store(url: SecretStr) -> SecretStr:
    if not _STORE.fullmatch(url.get_secret_value()):
        raise ValueError(
            "must be memory: or a URL such as redis://host:6379/0, with rediss:// for TLS and"
            " redis+cluster:// for a cluster"
        )
    return url


StoreURL = Annotated[SecretStr, AfterValidator(_check_store)]
