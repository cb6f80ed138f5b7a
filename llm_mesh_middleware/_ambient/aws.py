"""Access keys of the environment: variables, profiles, SSO, web identities, instance roles."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from .._auth.renewed import Fetched
from .._auth.sigv4 import AccessKey
from .port import AmbientPort

__all__ = ["access_keys", "is_installed"]

# botocore renews keys itself, in time; asking it costs nothing.
_ASKED_AGAIN_S = 360.0


def is_installed() -> bool:
    """Return whether the library is there."""
    return find_spec("botocore") is not None


def access_keys(owner: str) -> AmbientPort[AccessKey]:
    """Return the port that asks botocore for the keys that it finds."""
    return AmbientPort(_Chain().fetch, owner=owner)


class _Chain:
    """botocore's chain of sources, looked through when the first key is needed."""

    __slots__ = ("_credentials",)

    def __init__(self) -> None:
        self._credentials: Any = None

    def fetch(self, now: float) -> Fetched[AccessKey]:
        """Return the key that is valid now."""
        if self._credentials is None:
            # Late: it takes 80 ms, and only those who use it need it.
            from botocore.session import Session  # type: ignore[import-untyped]

            self._credentials = Session().get_credentials()
        if self._credentials is None:
            raise LookupError("no credentials")
        found = self._credentials.get_frozen_credentials()
        return Fetched(
            AccessKey(found.access_key, found.secret_key, found.token), now + _ASKED_AGAIN_S
        )
