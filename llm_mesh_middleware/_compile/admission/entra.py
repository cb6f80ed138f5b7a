"""The identity for which Microsoft Entra issues tokens.

clientSecret                     an application
credentialsFrom: {default: true} ─► AZURE_FEDERATED_TOKEN_FILE: a workload of a cluster
                                 ├► IDENTITY_ENDPOINT: an app, such as one of App Service
                                 └► else the machine, whose metadata is at
                                    AZURE_POD_IDENTITY_AUTHORITY_HOST if that is set

Azure itself sets these variables, and its own libraries read them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ..._auth.entra import (
    AUTHORITY,
    MACHINE,
    Application,
    ManagedIdentity,
    app_path,
    by_assertion,
    by_secret,
    machine_path,
    token_path,
)
from ..._auth.renewed import Fetching
from ...config import EntraConfig
from ..keys import KeyReader
from .issuers import issuer

__all__ = ["entra_tokens"]

_Path = tuple[str | int, ...]
_ADDRESSES = ("AZURE_AUTHORITY_HOST", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "IDENTITY_ENDPOINT")
# What fetches tokens, and the secret that it sends for that.
Found = tuple[Fetching[str], str]


def entra_tokens(
    entra: EntraConfig, scope: str, path: _Path, keys: KeyReader, owner: str
) -> Found | None:
    """Return the source of a provider's tokens, or None if a problem was collected.

    Args:
        entra: the configuration as written.
        scope: the OAuth scope of the tokens.
        path: its place in the document.
        keys: reads keys, and collects problems with them.
        owner: the provider's name, for errors.
    """
    if entra.credentials_from is not None:
        path = (*path, "credentialsFrom")
        try:
            return _ambient(entra, scope, path, keys, owner)
        except (KeyError, ValueError):
            keys.complain(
                path, f"one of {', '.join(_ADDRESSES)} is not a URL with http:// or https://"
            )
            return None
    secret = keys.read(entra, "client_secret", path)
    if secret is None or entra.client_id is None or entra.tenant_id is None:
        return None
    endpoint = issuer((entra.authority or AUTHORITY) + token_path(entra.tenant_id), owner)
    return Application(entra.client_id, by_secret(secret), endpoint, scope), secret


def _ambient(
    entra: EntraConfig, scope: str, path: _Path, keys: KeyReader, owner: str
) -> Found | None:
    if (file := keys.variable("AZURE_FEDERATED_TOKEN_FILE")) is not None:
        return _workload(entra, scope, file, path, keys, owner)
    if (endpoint := keys.variable("IDENTITY_ENDPOINT")) is not None:
        header = keys.variable("IDENTITY_HEADER") or ""
        target = app_path(urlsplit(endpoint).path, scope, entra.client_id)
        asked = issuer(endpoint, owner).at(target)
        return ManagedIdentity(asked, ((b"x-identity-header", header.encode()),)), header
    machine = keys.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST") or MACHINE
    asked = issuer(machine, owner).at(machine_path(scope, entra.client_id))
    return ManagedIdentity(asked, ((b"metadata", b"true"),)), ""


def _workload(
    entra: EntraConfig, scope: str, file: str, path: _Path, keys: KeyReader, owner: str
) -> Found | None:
    """Return the workload whose token is in a file; a changed file is read again."""
    client = entra.client_id or keys.variable("AZURE_CLIENT_ID")
    tenant = entra.tenant_id or keys.variable("AZURE_TENANT_ID")
    if client is None or tenant is None:
        message = "needs clientId and tenantId, or AZURE_CLIENT_ID and AZURE_TENANT_ID"
        keys.complain(path, f"{message}, with AZURE_FEDERATED_TOKEN_FILE")
        return None
    text = keys.text(file, path)
    if text is None:
        return None
    token = text.decode("latin-1").strip()
    authority = entra.authority or keys.variable("AZURE_AUTHORITY_HOST") or AUTHORITY
    endpoint = issuer(authority.rstrip("/") + token_path(tenant), owner)
    return Application(client, by_assertion(token), endpoint, scope), token
