"""Access: the first policy of every request that comes over a network.

A request to a virtual host uses the owner's API keys, so by default only peers are admitted that
cannot be an unknown client behind a reverse proxy.

    valid client key                          admitted, as that consumer
    otherwise, `authorize` given              it decides: True admits, anything else refuses
    otherwise, mode `open`                    admitted
    otherwise, mode `private` and a near peer admitted
    otherwise                                 refused: 401 if a key was asked for or sent, else 403
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from ...exceptions import AccessDenied, InvalidClientKey
from ..http.peers import is_private_peer, is_proxied
from ..private import Discreet
from ..values.headers import Headers
from ..values.messages import ClientRequest
from ..values.steps import AsyncPort, Port, Step, StepResult, ask

__all__ = ["AccessPolicy"]

# Fields in which SDKs send a key other than a Bearer token.
_KEY_FIELDS = ("x-api-key", "api-key", "x-goog-api-key")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class AccessPolicy(Discreet, frozen=True):
    """The mode (`private`, `keys` or `open`), the client keys by digest, and `authorize`.

    Keys are looked up by SHA-256 digest, so the duration of a lookup reveals nothing about a key:
    digests cannot be chosen, and Python seeds the table's hash in each process.
    """

    shown: ClassVar[tuple[str, ...]] = ("mode",)

    mode: str = "private"
    keys: Mapping[bytes, str] = msgspec.field(default_factory=dict)
    authorize: Port | AsyncPort | None = None

    @classmethod
    def of(cls, mode: str, client_keys: Mapping[str, str]) -> AccessPolicy:
        """Return the policy for `mode` and client keys by consumer name."""
        return cls(mode, {_digest(key.encode()): name for name, key in client_keys.items()})

    def admit(
        self, request: ClientRequest
    ) -> ClientRequest | Generator[Step, StepResult, ClientRequest]:
        """Return an admitted request with the name of its consumer, or what asks the application.

        Raises:
            InvalidClientKey: the client key is required and missing, or unknown.
            AccessDenied: the application refuses, or mode `private` does not admit the peer.
        """
        consumer = self.consumer(request.headers) if self.keys else None
        if consumer is not None:
            attributes = {**request.attributes, "consumer": consumer}
            return replace(request, attributes=attributes)
        if self.authorize is not None:
            return self._asked(self.authorize, request)
        if not self._admits(request.peer, request.headers):
            raise self._refusal(request.headers)
        return request

    def consumer(self, headers: Headers) -> str | None:
        """Return the consumer of the client key in the header fields, or None."""
        if not self.keys:
            return None
        scheme, _, key = (headers.get("authorization") or "").partition(" ")
        candidates = [key] if scheme.lower() == "bearer" else []
        candidates += [value for name in _KEY_FIELDS if (value := headers.get(name))]
        for candidate in candidates:
            consumer = self.keys.get(_digest(candidate.strip().encode()))
            if consumer is not None:
                return consumer
        return None

    def is_open_to(self, peer: str | None, headers: Headers) -> bool:
        """Return whether a client is admitted if no `authorize` decides."""
        return self._admits(peer, headers) or self.consumer(headers) is not None

    def _admits(self, peer: str | None, headers: Headers) -> bool:
        """Return whether the mode admits a client without a valid key."""
        if self.mode != "private":
            return self.mode == "open"
        return peer is not None and is_private_peer(peer) and not is_proxied(headers)

    def _asked(
        self, authorize: Port | AsyncPort, request: ClientRequest
    ) -> Generator[Step, StepResult, ClientRequest]:
        """Admit a client without a valid key if the application does."""
        if (yield from ask(authorize, request.native)) is not True:
            raise self._refusal(request.headers)
        return request

    def _refusal(self, headers: Headers) -> InvalidClientKey | AccessDenied:
        has_token = bool(self.keys) and "authorization" in headers
        if self.mode == "keys" or has_token:
            return InvalidClientKey(
                "the client key is missing or unknown; send `Authorization: Bearer <client key>`",
                headers={"www-authenticate": "Bearer"},
            )
        if self.authorize is not None:
            return AccessDenied("the application does not admit this request to its LLM mesh")
        return AccessDenied(
            "this LLM mesh serves clients of its own host or private network only "
            "(LLM_MESH_ACCESS=private); use a client key or ask its owner"
        )
