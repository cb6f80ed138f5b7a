"""Access tokens of the environment, and signatures with the key of a service account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from importlib.util import find_spec
from typing import Any

from .._auth.google import SCOPE
from .._auth.renewed import Fetched
from .port import AmbientPort

__all__ = ["access_tokens", "can_sign", "is_installed", "rs256"]

_LIFETIME_S = 3600.0


def is_installed() -> bool:
    """Return whether the library for Application Default Credentials is there."""
    return find_spec("google") is not None and find_spec("google.auth") is not None


def can_sign() -> bool:
    """Return whether the library for signatures is there."""
    return find_spec("cryptography") is not None


def rs256(pem: bytes) -> Callable[[bytes], bytes]:
    """Return the function that signs with a private RSA key.

    Raises:
        ValueError: it is no such key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError("no private key") from exc
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA key")
    return lambda data: key.sign(data, PKCS1v15(), SHA256())


def access_tokens(owner: str) -> AmbientPort[str]:
    """Return the port that asks google-auth for tokens of the Application Default Credentials."""
    return AmbientPort(_Default().fetch, owner=owner)


class _Default:
    """The Application Default Credentials, looked for when the first token is needed."""

    __slots__ = ("_credentials",)

    def __init__(self) -> None:
        self._credentials: Any = None

    def fetch(self, now: float) -> Fetched[str]:
        """Return a new token."""
        # Late: it takes 100 ms, and only those who use it need it.
        import google.auth
        from google.auth.transport.requests import Request

        if self._credentials is None:
            self._credentials, _ = google.auth.default(scopes=[SCOPE])
        self._credentials.refresh(Request())
        expiry = self._credentials.expiry
        expires_at = expiry.replace(tzinfo=UTC).timestamp() if expiry else now + _LIFETIME_S
        return Fetched(self._credentials.token, expires_at)
