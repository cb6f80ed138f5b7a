"""Access tokens of Google's, bought with the key of a service account (RFC 7523)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec

from .._core.values.endpoint import Endpoint
from .._core.values.messages import Deadline, Failure, ResponseHead, UpstreamRequest
from .._core.values.steps import Read, Send, Step, StepResult
from ..exceptions import CredentialUnavailable
from .renewed import Fetched

__all__ = ["SCOPE", "ServiceAccount"]

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME_S = 3600
_MAX_BYTES = 64 * 2**10
_HEADERS = (
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
)
# What an OAuth error code consists of (RFC 6749 5.2); anything else is not repeated.
_MAX_CODE = 64


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: float = 0.0
    error: str = ""


_read_token = msgspec.json.Decoder(_Token, strict=False).decode


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """One service account; calling it fetches an access token.

    `sign` makes an RS256 signature with its private key. `owner` is what errors call it.
    """

    email: str
    key_id: str
    endpoint: Endpoint
    target: str
    audience: str
    sign: Callable[[bytes], bytes] = field(repr=False)
    owner: str
    connect_timeout_s: float = 10.0

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return an access token."""
        now = wall_clock()
        head: ResponseHead | Failure = yield Send(self._request(int(now)), deadline)
        if isinstance(head, Failure):
            raise self._error(f"{self.endpoint.provider_host} could not be reached")
        body = b""
        while len(body) <= _MAX_BYTES:
            data: bytes | Failure = yield Read(deadline)
            if isinstance(data, Failure):
                raise self._error(f"{self.endpoint.provider_host} broke off")
            if not data:
                break
            body += data
        try:
            token = _read_token(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            token = _Token()
        if head.status != 200 or not _is_token(token.access_token):
            code = token.error if token.error.replace("_", "").isalnum() else ""
            reason = f" ({code[:_MAX_CODE]})" if code else ""
            host = self.endpoint.provider_host
            raise self._error(f"{host} answered {head.status} without a token{reason}")
        return Fetched(token.access_token, now + (token.expires_in or _LIFETIME_S))

    def _request(self, now: int) -> UpstreamRequest:
        assertion = self._assertion(now)
        form = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
        host = self.endpoint.provider_host.encode()
        return UpstreamRequest(
            endpoint=self.endpoint,
            method="POST",
            target=self.target,
            headers=((b"host", host), *_HEADERS),
            body=form,
            connect_timeout_s=self.connect_timeout_s,
            provider=self.owner,
        )

    def _assertion(self, now: int) -> str:
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.audience,
            "iat": now,
            "exp": now + _LIFETIME_S,
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        unsigned = b".".join(_encoded(msgspec.json.encode(part)) for part in (header, claims))
        return b".".join((unsigned, _encoded(self.sign(unsigned)))).decode()

    def _error(self, reason: str) -> CredentialUnavailable:
        return CredentialUnavailable(f"no access token for provider {self.owner!r}: {reason}")


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
