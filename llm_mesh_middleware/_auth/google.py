"""Google access tokens, requested with the key of a service account (RFC 7523)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Generator
from typing import ClassVar
from urllib.parse import urlencode

import msgspec

from .._core.private import Discreet
from .._core.values.messages import Deadline
from .._core.values.steps import Step, StepResult
from .renewed import Fetched
from .token_endpoint import TokenEndpoint

__all__ = ["SCOPE", "ServiceAccount"]

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME_S = 3600


class ServiceAccount(Discreet, frozen=True):
    """One service account; calling it fetches an access token.

    `sign` makes an RS256 signature with its private key.
    """

    shown: ClassVar[tuple[str, ...]] = ("email", "key_id", "issuer", "audience")

    email: str
    key_id: str
    issuer: TokenEndpoint
    audience: str
    sign: Callable[[bytes], bytes]

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return an access token."""
        now = wall_clock()
        form = urlencode({"grant_type": _GRANT, "assertion": self._assertion(int(now))})
        return (yield from self.issuer.post(form.encode(), now, deadline))

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


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
