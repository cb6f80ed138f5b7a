"""Access tokens of Microsoft Entra.

an application, by its secret          client credentials (RFC 6749 4.4)
a workload of a cluster, by its token  the same, with that token as an assertion (RFC 7523 2.2)
an app or a machine of Azure           a request to an address that only it can reach
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import ClassVar
from urllib.parse import quote, urlencode

from .._core.private import Discreet
from .._core.values.messages import Deadline
from .._core.values.steps import Step, StepResult
from .renewed import Fetched
from .token_endpoint import TokenEndpoint

__all__ = [
    "AI_SCOPE",
    "AUTHORITY",
    "MACHINE",
    "SCOPE",
    "Application",
    "ManagedIdentity",
    "app_path",
    "by_assertion",
    "by_secret",
    "machine_path",
    "token_path",
]

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"
AI_SCOPE = "https://ai.azure.com/.default"
# The metadata service of a machine in Azure.
MACHINE = "http://169.254.169.254"

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def token_path(tenant: str) -> str:
    """Return the path of a tenant's token endpoint."""
    return f"/{quote(tenant, safe='')}/oauth2/v2.0/token"


def machine_path(scope: str, client_id: str | None) -> str:
    """Return the request target of a machine's token endpoint."""
    query = {"api-version": "2018-02-01", **_resource(scope, client_id)}
    return f"/metadata/identity/oauth2/token?{urlencode(query)}"


def app_path(path: str, scope: str, client_id: str | None) -> str:
    """Return the request target of an app's token endpoint; its environment has the `path`."""
    query = {"api-version": "2019-08-01", **_resource(scope, client_id)}
    return f"{path}?{urlencode(query)}"


def _resource(scope: str, client_id: str | None) -> Mapping[str, str]:
    resource = {"resource": scope.removesuffix("/.default")}
    return resource if client_id is None else {**resource, "client_id": client_id}


def by_secret(secret: str) -> Mapping[str, str]:
    """Return the form fields of an application with a secret."""
    return {"client_secret": secret}


def by_assertion(token: str) -> Mapping[str, str]:
    """Return the form fields of an application with a token of another issuer."""
    return {"client_assertion_type": _ASSERTION, "client_assertion": token}


class Application(Discreet, frozen=True):
    """An application that is registered with a tenant; calling it fetches an access token."""

    shown: ClassVar[tuple[str, ...]] = ("client_id", "issuer", "scope")

    client_id: str
    proof: Mapping[str, str]
    issuer: TokenEndpoint
    scope: str = SCOPE

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return an access token."""
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                **self.proof,
                "scope": self.scope,
            }
        )
        return (yield from self.issuer.post(form.encode(), wall_clock(), deadline))


class ManagedIdentity(Discreet, frozen=True):
    """The identity that Azure gives an app or a machine; calling it fetches an access token."""

    shown: ClassVar[tuple[str, ...]] = ("issuer",)

    issuer: TokenEndpoint
    headers: tuple[tuple[bytes, bytes], ...]

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        """Return an access token."""
        return (yield from self.issuer.get(self.headers, wall_clock(), deadline))
