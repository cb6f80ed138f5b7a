"""What an operator or a client can do about each error of the mesh, by its code."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ADVICE"]

ADVICE: Mapping[str, str] = {
    "access_denied": "The caller's address is not private, or `authorize` said no. Give callers"
    " keys (`LLM_MESH_CLIENT_KEYS`, `LLM_MESH_ACCESS=keys`), or check why `authorize` refuses.",
    "cache_miss": "Nothing is cached for the request. Leave out `Cache-Control: only-if-cached`.",
    "content_blocked": "A guard of an `LLMPolicy` denies the content. Change the request, or the"
    " guard; with `shadow: true` a guard only counts.",
    "insufficient_quota": "A budget of an `LLMPolicy` is used up. It is free again when its period"
    " ends; raise `amount`, or wait.",
    "internal_error": "A fault of the mesh itself. Its log has the traceback; please report it.",
    "invalid_client_key": "Send the key as `Authorization: Bearer`, and check that"
    " `LLM_MESH_CLIENT_KEYS` of this process has it.",
    "invalid_json": "Send one JSON object in UTF-8, not compressed, with its whole length.",
    "invalid_request": "The request is broken HTTP, or its Host disagrees with its target. Send one"
    " Host and one length.",
    "loop_detected": "An endpoint leads back to a mesh. Check `spec.endpoint`,"
    " `LLM_MESH_ENDPOINTS` and proxy variables: `http_proxy` must not reach the mesh itself.",
    "method_not_allowed": "Use the method that the `Allow` field of the reply names; most"
    " operations are `POST`.",
    "model_not_found": "No rule of the host knows the model. `GET /v1/models` lists those that a"
    " client may name.",
    "no_healthy_upstream": "Every backend of the rule is out of service or busy. Retry after the"
    " time in `Retry-After`; see `Mesh.health()` for the reasons, and `llm-mesh check` to try each"
    " provider.",
    "policy_unavailable": "The store of limits cannot be reached, and the limit says"
    " `onStoreFailure: deny`. Check `LLM_MESH_STORE`, or choose `local`.",
    "rate_limit_exceeded": "A limit of an `LLMPolicy` is used up. Retry after the time in"
    " `Retry-After`, or raise the limit.",
    "request_timeout": "The body of the request arrived too slowly. See"
    " `LLM_MESH_REQUEST_TIMEOUT`, and the network between client and mesh.",
    "request_too_large": "The body is longer than `LLM_MESH_MAX_REQUEST_BYTES`. Send less, or"
    " raise the setting; a body is held in memory.",
    "route_not_found": "No rule matches. `llm-mesh explain` with the same host, headers and body"
    " says why each rule is skipped. A last rule without matches takes everything else.",
    "server_shutdown": "The process ended first. Send the request again: another instance may"
    " serve it.",
    "stream_interrupted": "The provider's stream broke off after it had begun, so it could not be"
    " tried again. Send the request again; the text so far is complete up to that event.",
    "unsupported_content_encoding": "Send the body without `Content-Encoding`.",
    "unsupported_field": "The provider's dialect has no equivalent for the field in `param`."
    " Leave it out, or route such requests to a provider that knows it.",
    "unsupported_operation": "The mesh does not know the path, or the provider of the rule does"
    " not serve it. Check the base URL: most SDKs need it with `/v1`.",
    "upstream_connect_error": "The provider cannot be reached. `llm-mesh check` says whether DNS,"
    " TCP or TLS fails; behind a company's proxy set `LLM_MESH_TRUST_ENV=true`.",
    "upstream_credential_error": "The mesh could not get a credential for the provider. Check the"
    " role, the token endpoint or the key file that its configuration names.",
    "upstream_error": "The provider failed. The log has its name and its status.",
    "upstream_protocol_error": "The provider's response cannot be passed on: broken framing, a"
    " redirect, or longer than `LLM_MESH_MAX_RESPONSE_BYTES`.",
    "upstream_timeout": "A phase took too long; the message names it. See `timeouts` of the rule"
    " and `LLM_MESH_*_TIMEOUT`.",
}
