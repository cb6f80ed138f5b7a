"""Token endpoints: one OAuth request for an access token, and its response (RFC 6749 5)."""

from __future__ import annotations

from collections.abc import Generator

import msgspec
from msgspec.structs import replace

from .._core.values.endpoint import Endpoint
from .._core.values.messages import Deadline, Failure, ResponseHead, UpstreamRequest
from .._core.values.steps import Read, Send, Step, StepResult
from ..exceptions import CredentialUnavailable
from .renewed import Fetched

__all__ = ["TokenEndpoint"]

Fields = tuple[tuple[bytes, bytes], ...]

_LIFETIME_S = 3600
_MAX_BYTES = 64 * 2**10
_FORM = ((b"content-type", b"application/x-www-form-urlencoded"),)
_HEADERS = (
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
)
# What an OAuth error code consists of (RFC 6749 5.2); anything else is not repeated.
_MAX_CODE = 64


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: float = 0.0
    expires_on: float = 0.0  # what Azure's own issuers say instead, in seconds since the epoch
    error: str = ""


_read_token = msgspec.json.Decoder(_Token, strict=False).decode


class TokenEndpoint(msgspec.Struct, frozen=True):
    """The address of an issuer of tokens; `owner` is the provider that they are for."""

    endpoint: Endpoint
    target: str
    owner: str
    connect_timeout_s: float = 10.0

    def at(self, target: str) -> TokenEndpoint:
        """Return the same issuer at another target."""
        return replace(self, target=target)

    def buy(
        self, form: bytes, now: float, deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return the token that a form is answered with.

        Raises:
            CredentialUnavailable: There is none.
        """
        return (yield from self._ask(self._request("POST", _FORM, form), now, deadline))

    def get(
        self, headers: Fields, now: float, deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return the token that the target itself has, for who sends these fields.

        Raises:
            CredentialUnavailable: There is none.
        """
        return (yield from self._ask(self._request("GET", headers), now, deadline))

    def _ask(
        self, request: UpstreamRequest, now: float, deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        head: ResponseHead | Failure = yield Send(request, deadline)
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
        ends_at = now + token.expires_in if token.expires_in else token.expires_on
        return Fetched(token.access_token, ends_at or now + _LIFETIME_S)

    def _request(self, method: str, headers: Fields, body: bytes = b"") -> UpstreamRequest:
        return UpstreamRequest(
            endpoint=self.endpoint,
            method=method,
            target=self.target,
            headers=((b"host", self.endpoint.provider_host.encode()), *_HEADERS, *headers),
            body=body,
            connect_timeout_s=self.connect_timeout_s,
            provider=self.owner,
        )

    def _error(self, reason: str) -> CredentialUnavailable:
        return CredentialUnavailable(f"no access token for provider {self.owner!r}: {reason}")


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
