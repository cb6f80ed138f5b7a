"""URLs of stores as settings write them; they may hold a password."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

__all__ = ["StoreURL"]

_STORE = re.compile(r"memory:|(?:rediss?(?:\+cluster)?|unix)://[^\s]+")


def _check_store(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if not _STORE.fullmatch(text):
        raise ValueError(
            "must be memory: or a URL such as redis://host:6379/0, with rediss:// for TLS and"
            " redis+cluster:// for a cluster"
        )
    try:
        _ = urlsplit(text).port
    except ValueError:  # its message repeats a part of the URL
        raise ValueError(
            "must have a port from 0 to 65535 behind the last colon; in a password, / and # are"
            " written %2F and %23"
        ) from None
    return url


StoreURL = Annotated[SecretStr, AfterValidator(_check_store)]
