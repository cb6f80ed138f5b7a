"""Access tokens of Microsoft Entra, bought with the secret of an application (RFC 6749 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from .._core.values.messages import Deadline
from .._core.values.steps import Step, StepResult
from .renewed import Fetched
from .token_endpoint import TokenEndpoint

__all__ = ["AUTHORITY", "SCOPE", "Application", "token_path"]

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"


def token_path(tenant: str) -> str:
    """Return where a tenant's tokens are bought."""
    return f"/{quote(tenant, safe='')}/oauth2/v2.0/token"


@dataclass(frozen=True, slots=True)
class Application:
    """An application that is registered with a tenant; calling it fetches an access token."""

    client_id: str
    secret: str = field(repr=False)
    issuer: TokenEndpoint

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return an access token."""
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": self.secret,
                "scope": SCOPE,
            }
        )
        return (yield from self.issuer.buy(form.encode(), wall_clock(), deadline))
