"""OAuth token endpoints: a request for an access token, and its response (RFC 6749 5)."""

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
# The longest OAuth error code (RFC 6749 5.2) that a message repeats.
_MAX_CODE = 64


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: float = 0.0
    expires_on: float = 0.0  # Azure's managed identities use this: seconds since the epoch
    error: str = ""


_read_token = msgspec.json.Decoder(_Token, strict=False).decode


class TokenEndpoint(msgspec.Struct, frozen=True):
    """A token endpoint; `owner` is the provider that the tokens are for."""

    endpoint: Endpoint
    target: str
    owner: str
    connect_timeout_s: float = 10.0

    def at(self, target: str) -> TokenEndpoint:
        """Return the same issuer at another target."""
        return replace(self, target=target)

    def post(
        self, form: bytes, now: float, deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return the token for a form that is posted.

        Raises:
            CredentialUnavailable: the endpoint returns no token.
        """
        return (yield from self._ask(self._request("POST", _FORM, form), now, deadline))

    def get(
        self, headers: Fields, now: float, deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return the token for a GET request with these header fields.

        Raises:
            CredentialUnavailable: the endpoint returns no token.
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
                raise self._error(f"the response of {self.endpoint.provider_host} broke off")
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
