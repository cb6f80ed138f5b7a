"""Who may use the mesh.

A request that reaches a virtual host spends the owner's key, so the default admits only peers that
cannot be a stranger behind a reverse proxy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...exceptions import AccessDenied, InvalidClientKey
from ..http.peers import is_private_peer, is_proxied
from ..values.headers import Headers

__all__ = ["AccessPolicy"]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """`private`, `keys` or `open`, and the client keys by SHA-256 digest.

    Keys are looked up by digest, so how long a look-up takes says nothing about a key: nobody can
    choose a digest, and the table's own hash of it is seeded anew in each process.
    """

    mode: str = "private"
    keys: Mapping[bytes, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, mode: str, client_keys: Mapping[str, str]) -> AccessPolicy:
        """The policy for `mode` and client keys by consumer name."""
        return cls(mode, {_digest(key.encode()): name for name, key in client_keys.items()})

    def admit(
        self, peer: str | None, headers: Headers, authorize: Callable[[], bool] | None = None
    ) -> str | None:
        """The consumer's name if a client key says so, None for an admitted nameless client.

        Args:
            peer: the address of the other end of the connection; None if it is unknown.
            headers: the request's fields.
            authorize: the application's own decision; asked last, and not in mode `open`.

        Raises:
            InvalidClientKey: a key was needed and is missing or unknown.
            AccessDenied: mode `private`, and the peer is not.
        """
        token = headers.get("authorization") if self.keys else None
        consumer = self.consumer(token)
        if consumer is not None or self.mode == "open":
            return consumer
        if self.mode == "private" and self._is_near(peer, headers):
            return None
        if authorize is not None and authorize():
            return None
        if self.mode == "keys" or token is not None:
            raise InvalidClientKey(
                "the client key is missing or unknown; send `Authorization: Bearer <client key>`",
                headers={"www-authenticate": "Bearer"},
            )
        raise AccessDenied(
            "this LLM mesh serves clients of its own host or private network only "
            "(LLM_MESH_ACCESS=private); use a client key or ask its owner"
        )

    def consumer(self, token: str | None) -> str | None:
        """Whose client key an Authorization field holds; None if it holds none."""
        if token is None:
            return None
        scheme, _, key = token.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.keys.get(_digest(key.strip().encode()))

    @staticmethod
    def _is_near(peer: str | None, headers: Headers) -> bool:
        return peer is not None and is_private_peer(peer) and not is_proxied(headers)
