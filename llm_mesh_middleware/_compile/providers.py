"""One `LLMProvider` with its configurations resolved: the upstream for each rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec.structs import replace

from .._auth.static_key import StaticHeader, bearer_token
from .._core.dialect import ServedOperation
from .._core.explaining.redaction import is_credential
from .._core.provider.credential import Credential
from .._core.provider.endpoints import StaticEndpoints
from .._core.provider.identity import ProviderIdentity
from .._core.provider.outlier_detection import OutlierDetection
from .._core.provider.secrets import Secrets
from .._core.provider.servers.watch import ServerWatch
from .._core.provider.upstream import Upstream
from .._core.values.endpoint import Endpoint, TLSFiles
from .._core.values.payload import raw
from .._dialects.pairs import provider_operation
from .._manifest import Resource, Secret, SecretName
from .._schema.dialects import DialectConfig
from ..config import ActiveCheck, AzureOpenAIConfig, LLMProvider, OpenAIConfig, ProviderConfig
from ..config import OutlierDetection as OutlierDetectionConfig
from .admission import Admission, admit
from .keys import KeyReader
from .pricing.book import PriceBook
from .pricing.prices import compile_prices
from .serving import Serving, lacks, serve
from .tls_files import named_files, tls_faults

__all__ = ["CompiledProvider"]

_Path = tuple[str | int, ...]
_CONFIGS: _Path = ("spec", "configs")
_PORTS = {"http": 80, "https": 443}
_DETECTION_FIELDS = {
    "consecutive_failures": "consecutive_failures",
    "interval": "interval_s",
    "base_ejection_time": "base_ejection_s",
    "max_ejection_time": "max_ejection_s",
    "half_open_requests": "half_open_requests",
}

# A shorter header value is an ordinary word rather than a secret.
_SECRET_LENGTH = 8


class _Settled(msgspec.Struct, frozen=True):
    """The configuration of a dialect after inheritance, with its admission to the provider."""

    config: DialectConfig
    admission: Admission
    serving: Serving


class CompiledProvider:
    """A provider, resolved for the rules that refer to it; `problems` has its errors.

    `files` has the other files that it needs, with their versions from before they were read.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        endpoints: Mapping[str, str],
        environ: Mapping[str, str],
        prices: PriceBook,
        secrets: Mapping[SecretName, Secret] | None = None,
    ) -> None:
        if not isinstance(resource.model, LLMProvider):
            raise TypeError(f"{resource.name} is not an LLMProvider")
        self.resource = resource
        self.host = resource.model.spec.host.lower().rstrip(".")
        self._keys = KeyReader(resource, environ=environ, secrets=secrets)
        self.problems = self._keys.problems
        self.files = self._keys.files
        self._spec = resource.model.spec
        self._endpoint = self._connect_to(endpoints.get(self.host) or self._spec.endpoint)
        self._check_tls()
        self._identity = ProviderIdentity(
            resource.namespace,
            resource.name,
            self.host,
            repr((self._spec.model_copy(update={"prices": ()}), self._endpoint)),
        )
        self._default, self._by_rule = self._settle_configs()
        own = compile_prices(self._spec.prices, self._complain_of_price)
        self._prices = prices.of(self.host, own)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules that `routeSpecificConfigs` names."""
        return tuple(self._by_rule)

    def upstream(
        self, rule: str | None = None, *, model: str | None = None, host_rewrite: str | None = None
    ) -> Upstream:
        """Return the provider for the rule named `rule`.

        `model` and `host_rewrite` are those of the rule's backendRef.
        """
        settled = self._by_rule.get(rule or "", self._default)
        config, serving = settled.config, settled.serving
        own = {name: value.get_secret_value() for name, value in (config.headers or {}).items()}
        headers = [
            ("host", host_rewrite or _bracketed(self.host)),
            ("content-type", "application/json"),
        ]
        headers += [("accept-encoding", "identity"), *own.items()]
        secrets = _secrets(settled.admission, own, self._spec.path)
        return Upstream(
            identity=self._identity,
            endpoints=StaticEndpoints((self._endpoint,)),
            targets=serving.targets,
            headers=tuple((name.encode(), value.encode("latin-1")) for name, value in headers),
            model=model or _model(config),
            model_mapping=dict(config.model_mapping or {}),
            stream=config.stream,
            requests_usage=not isinstance(config, OpenAIConfig) or config.stream_usage is not False,
            defaults={name: raw(value) for name, value in (config.defaults or {}).items()},
            credentials=_credentials(settled, own, secrets),
            conversions=serving.conversions,
            secrets=secrets,
            detection=_detection(self._spec.outlier_detection),
            max_concurrency=self._spec.max_concurrency,
            prices=self._prices,
            vendor=serving.vendor,
            watch=_watch(self._spec.active_check),
        )

    def _connect_to(self, url: str | None) -> Endpoint:
        parts = urlsplit(url or f"https://{_bracketed(self.host)}")
        files = self._spec.tls
        return Endpoint(
            provider_host=self.host,
            scheme=parts.scheme,
            address=parts.hostname or self.host,
            port=parts.port or _PORTS[parts.scheme],
            server_name=(files and files.server_name) or self.host,
            tls=TLSFiles(files.ca_file, files.client_cert_file, files.client_key_file)
            if files
            else TLSFiles(),
        )

    def _check_tls(self) -> None:
        """Report certificate files that cannot be used, before a request needs them."""
        files = self._endpoint.tls
        for file in named_files(files):
            self._depend_on(file)
        for field, message in tls_faults(files):
            self._complain(("spec", "tls", field), message)

    def _settle_configs(self) -> tuple[_Settled, dict[str, _Settled]]:
        configs = self._spec.configs
        default = self._settle(configs.default_config, (*_CONFIGS, "defaultConfig"), None)
        by_rule = {
            rule: self._settle(specific, (*_CONFIGS, "routeSpecificConfigs", rule), default)
            for rule, specific in configs.route_specific_configs.items()
        }
        return default, by_rule

    def _settle(self, given: ProviderConfig, path: _Path, default: _Settled | None) -> _Settled:
        """Inherit unset fields of the same dialect; the fields of a credential only together."""
        name, config = _dialect_of(given, None if default is None else default.config)
        path = (*path, name)
        if config.model is not None and config.model_mapping:
            self._warn((*path, "modelMapping"), "has no effect with `model`, which is always sent")
        admission = admit(config, path, self._keys, self.resource.name)
        if default is not None and type(default.config) is type(config):
            inherited = {name: getattr(default.config, name) for name in type(config).model_fields}
            own = {name: getattr(config, name) for name in config.model_fields_set}
            own = {name: value for name, value in own.items() if value is not None}
            config = type(config).model_construct(**inherited | own)
            admission = admission or default.admission
        known = {} if default is None else dict(lacks(default.config))
        for field, message in lacks(config):
            if field not in known:
                self._complain((*path, field), message)
        return _Settled(config, admission or Admission(), serve(config, self._spec))

    def _depend_on(self, file: str) -> None:
        self._keys.depend_on(file)

    def _complain_of_price(self, index: int, message: str) -> None:
        self._complain(("spec", "prices", index, "model", "regex"), message)

    def _complain(self, path: _Path, message: str) -> None:
        self.problems.append(self.resource.problem(path, message))

    def _warn(self, path: _Path, message: str) -> None:
        self.problems.append(self.resource.problem(path, message, severity="warning"))


def _detection(config: OutlierDetectionConfig | None) -> OutlierDetection:
    if config is None:
        return OutlierDetection()
    given = config.model_dump(exclude_none=True)
    return OutlierDetection(**{_DETECTION_FIELDS[name]: value for name, value in given.items()})


def _watch(check: ActiveCheck | None) -> ServerWatch | None:
    if check is None:
        return None
    default = ServerWatch(check_path=check.path)
    return default if check.interval is None else replace(default, check_interval_s=check.interval)


def _dialect_of(given: ProviderConfig, default: DialectConfig | None) -> tuple[str, DialectConfig]:
    """Return the field and configuration of the dialect that is set, else the default's, empty."""
    for name, field in type(given).model_fields.items():
        config = getattr(given, name)
        if config is not None:
            return field.alias or name, config
    return "openAIConfig", OpenAIConfig() if default is None else type(default)()


def _model(config: DialectConfig) -> str | None:
    deployment = config.deployment if isinstance(config, AzureOpenAIConfig) else None
    return deployment or config.model


def _credentials(
    settled: _Settled, headers: Collection[str], secrets: Secrets
) -> Mapping[ServedOperation, Credential]:
    """Return the credential of each operation: the key in the header field of its dialect.

    If the configured `headers` set that field, the key is sent as a Bearer token.
    """
    admission, serving = settled.admission, settled.serving
    if admission.credential is not None:
        return dict.fromkeys(serving.targets, admission.credential(settled.config, secrets))
    if admission.key is None:
        return {}
    key, bearer = admission.key.encode("latin-1"), bearer_token(admission.key)
    credentials: dict[ServedOperation, Credential] = {}
    for operation in serving.targets:
        asked = provider_operation(operation, serving.conversions.get(operation))
        name = serving.key_field or asked.dialect.key_field
        is_bearer = name == bearer.name or name.decode() in headers
        credentials[operation] = bearer if is_bearer else StaticHeader(name, key)
    return credentials


def _secrets(admission: Admission, headers: Mapping[str, str], path: str) -> Secrets:
    """Collect the keys, the configured header values, and the key in a query."""
    keys = list(admission.secrets)
    others: list[str] = []
    for name, value in headers.items():
        found = keys if is_credential(name) else others
        # A provider may repeat the token without its scheme.
        found += [part for part in (value, value.partition(" ")[2]) if len(part) >= _SECRET_LENGTH]
    query = parse_qsl(path.partition("?")[2], encoding="latin-1")
    keys += [value for name, value in query if is_credential(name)]
    return Secrets((k.encode("latin-1") for k in keys), (v.encode("latin-1") for v in others))


def _bracketed(host: str) -> str:
    """Return a host as in a URL or Host field: IPv6 in brackets (RFC 3986 3.2.2)."""
    return f"[{host}]" if ":" in host else host
