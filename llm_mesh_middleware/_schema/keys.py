"""The models of credentials, and of the places that hold them."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from .base import FileName, Name, Wire
from .values import (
    check_base_url,
    check_name,
    check_secret_key,
    check_secret_name,
    check_variable_name,
)

__all__ = [
    "APIKeySource",
    "AWSCredentials",
    "AmbientCredentials",
    "EntraConfig",
    "GoogleCredentials",
    "SecretKeyRef",
    "SecretText",
]


def _check_secret(value: SecretStr) -> SecretStr:
    check_name(value.get_secret_value())
    return value


SecretText = Annotated[SecretStr, AfterValidator(_check_secret)]


class SecretKeyRef(Wire):
    """One key of a Kubernetes Secret in the document's namespace."""

    name: Annotated[str, AfterValidator(check_secret_name)] = Field(
        description="Name of the Secret."
    )
    key: Annotated[str, AfterValidator(check_secret_key)] = Field(description="Key in its data.")


class APIKeySource(Wire):
    """Where an API key is kept: exactly one of the fields."""

    env: Annotated[str, AfterValidator(check_variable_name)] | None = Field(
        default=None, description="Environment variable that holds the key. Default: none."
    )
    file: FileName | None = Field(
        default=None,
        description="File that holds the key; read again when it changes. Default: none.",
    )
    secret_key_ref: SecretKeyRef | None = Field(
        default=None,
        description="Kubernetes Secret that holds the key, in the document's namespace; only for a"
        " mesh that reads its documents from the cluster. Default: none.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.secret_key_ref)) != 1:
            raise ValueError("must have exactly one of env, file and secretKeyRef")
        return self


class AmbientCredentials(Wire):
    """Credentials of the environment: profiles, roles and identities of the machine."""

    default: Literal[True] = Field(
        description="Use the provider's default chain; needs the extra with its library."
    )


class GoogleCredentials(Wire):
    """Where Google credentials are found: exactly one of the fields."""

    default: Literal[True] | None = Field(
        default=None,
        description="Use Application Default Credentials; needs the extra `vertex`."
        " Default: they are not used.",
    )
    file: FileName | None = Field(
        default=None,
        description="Key file of a service account; needs the extra `vertex`. Default: none.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.default is None) == (self.file is None):
            raise ValueError("must have exactly one of default and file")
        return self


class EntraConfig(Wire):
    """Credentials of Microsoft Entra: a token, or an identity to fetch tokens for."""

    access_token: SecretText | None = Field(
        default=None, description="OAuth access token. Default: none."
    )
    access_token_from: APIKeySource | None = Field(
        default=None,
        description="Where to read an access token that something else renews. Default: none.",
    )
    tenant_id: Name | None = Field(
        default=None, description="Tenant of the application. Default: none."
    )
    client_id: Name | None = Field(
        default=None,
        description="Client ID of the application, or of a user-assigned managed identity."
        " Default: none.",
    )
    client_secret: SecretText | None = Field(
        default=None, description="Secret of the application. Default: that of clientSecretFrom."
    )
    client_secret_from: APIKeySource | None = Field(
        default=None, description="Where to read the secret. Default: none."
    )
    credentials_from: AmbientCredentials | None = Field(
        default=None,
        description="Use the identity that Azure gives the workload, app or machine that runs the"
        " mesh. Default: none.",
    )
    scope: Name | None = Field(
        default=None,
        description="Scope of the tokens. Default: https://cognitiveservices.azure.com/.default, or"
        " https://ai.azure.com/.default for anthropicConfig.",
    )
    authority: Annotated[str, AfterValidator(check_base_url)] | None = Field(
        default=None,
        description="Base URL of the issuer of tokens. Default: https://login.microsoftonline.com.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        tokens = [self.access_token, self.access_token_from]
        secrets = [self.client_secret, self.client_secret_from]
        if sum(one is not None for one in (*tokens, *secrets, self.credentials_from)) != 1:
            raise ValueError(
                "must have exactly one of accessToken, accessTokenFrom, clientSecret,"
                " clientSecretFrom and credentialsFrom"
            )
        named = (self.tenant_id, self.client_id)
        if any(secret is not None for secret in secrets) and None in named:
            raise ValueError("must have tenantId and clientId with the secret")
        return self


class AWSCredentials(Wire):
    """An AWS access key; each value is given here or read from elsewhere."""

    access_key_id: SecretText | None = Field(
        default=None, description="Access key ID. Default: that of accessKeyIdFrom."
    )
    access_key_id_from: APIKeySource | None = Field(
        default=None, description="Where to read the access key ID. Default: none."
    )
    secret_access_key: SecretText | None = Field(
        default=None, description="Secret access key. Default: that of secretAccessKeyFrom."
    )
    secret_access_key_from: APIKeySource | None = Field(
        default=None, description="Where to read the secret access key. Default: none."
    )
    session_token: SecretText | None = Field(
        default=None, description="Token of a temporary access key. Default: none."
    )
    session_token_from: APIKeySource | None = Field(
        default=None, description="Where to read the session token. Default: none."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name, is_required in (
            ("access_key_id", True),
            ("secret_access_key", True),
            ("session_token", False),
        ):
            given = [getattr(self, name), getattr(self, f"{name}_from")]
            alias = type(self).model_fields[name].alias
            if None not in given:
                raise ValueError(f"must not have both {alias} and {alias}From; keep one")
            if is_required and given == [None, None]:
                raise ValueError(f"must have {alias} or {alias}From")
        return self
