"""Names, units and buckets of the semantic conventions that the mesh follows.

`gen_ai.*` and `openai.*` are those of open-telemetry/semantic-conventions-genai, where they are all
in development; `http.*`, `server.*`, `url.*` those of the stable HTTP conventions; `llm_mesh.*` are
the project's own for what has no convention; `asm_llm_proxy_*` are Alibaba Cloud Service Mesh's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

# Attributes of a generative AI call.
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE: Final = "gen_ai.request.previous_response.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
CONVERSATION: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute's name
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105 - an attribute's name
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOLS: Final = "gen_ai.tool.definitions"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_TIER: Final = "openai.response.service_tier"
OPENAI_FINGERPRINT: Final = "openai.response.system_fingerprint"

# Attributes of HTTP and of errors.
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CLIENT_ADDRESS: Final = "client.address"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
URL_FULL: Final = "url.full"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
PROTOCOL_VERSION: Final = "network.protocol.version"
USER_AGENT: Final = "user_agent.original"

EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"

# Attributes of the mesh.
ROUTE_NAME: Final = "llm_mesh.route.name"
RULE_NAME: Final = "llm_mesh.rule.name"
VIRTUAL_HOST: Final = "llm_mesh.virtual_host"
PROVIDER_NAME: Final = "llm_mesh.provider.name"
CLIENT_MODEL: Final = "llm_mesh.request.model"
CONSUMER: Final = "llm_mesh.consumer"
USER_ID: Final = "user.id"
SESSION_ID: Final = "session.id"
ATTRIBUTE_PREFIX: Final = "llm_mesh.attribute."
ERROR_CODE: Final = "llm_mesh.error.code"
ATTEMPT_COUNT: Final = "llm_mesh.attempt.count"
IS_FALLBACK: Final = "llm_mesh.fallback"
DROPPED: Final = "llm_mesh.dialect.dropped"
DROPPED_FIELD: Final = "llm_mesh.dialect.field"
STICKY_MISSING: Final = "llm_mesh.sticky.missing"
OVERHEAD: Final = "llm_mesh.overhead.duration"
USAGE_SOURCE: Final = "llm_mesh.usage.source"
USAGE_INJECTED: Final = "llm_mesh.usage.injected"
CHUNK_COUNT: Final = "llm_mesh.stream.chunk_count"
STREAM_OUTCOME: Final = "llm_mesh.stream.outcome"
UPSTREAM_REQUEST_ID: Final = "llm_mesh.upstream.request_id"
COST_AMOUNT: Final = "llm_mesh.cost.amount"
COST_CURRENCY: Final = "llm_mesh.cost.currency"
ATTEMPT_OUTCOME: Final = "llm_mesh.attempt.outcome"
FALLBACK_FROM: Final = "llm_mesh.fallback.from"
IS_MIRROR: Final = "llm_mesh.mirror"
MIRROR_RESULT: Final = "llm_mesh.mirror.result"
FALLBACK_TO: Final = "llm_mesh.fallback.to"
RELOAD_RESULT: Final = "result"
POLICY_NAME: Final = "llm_mesh.policy.name"
POLICY_ITEM: Final = "llm_mesh.policy.item"
POLICY_KIND: Final = "llm_mesh.policy.kind"
POLICY_DECISION: Final = "llm_mesh.policy.decision"
POLICY_DECISIONS: Final = "llm_mesh.policy.decisions"
LIMIT_STATE: Final = "llm_mesh.limit.state"
CACHE_RESULT: Final = "llm_mesh.cache.result"
GUARD_ENTITY: Final = "llm_mesh.guard.entity"
GUARD_ACTION: Final = "llm_mesh.guard.action"

# Events.
EVENT_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENT_EXCEPTION: Final = "gen_ai.client.operation.exception"
EVENT_REQUEST: Final = "llm_mesh.request"
EVENT_MIRROR: Final = "llm_mesh.mirror"

# Metrics: the generation that most back ends know, and the newest.
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - a metric's name
OPERATION_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
OPERATION_PER_CHUNK: Final = "gen_ai.client.operation.time_per_output_chunk"
INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
INFERENCE_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
INFERENCE_PER_CHUNK: Final = "gen_ai.client.inference.time_per_output_chunk"
INFERENCE_INPUT: Final = "gen_ai.client.inference.operation.input_tokens"
INFERENCE_OUTPUT: Final = "gen_ai.client.inference.operation.output_tokens"
SERVER_FIRST_TOKEN: Final = "gen_ai.server.time_to_first_token"  # noqa: S105 - a metric's name
SERVER_PER_TOKEN: Final = "gen_ai.server.time_per_output_token"  # noqa: S105 - a metric's name
HTTP_SERVER_DURATION: Final = "http.server.request.duration"
HTTP_SERVER_ACTIVE: Final = "http.server.active_requests"

MESH_OVERHEAD: Final = "llm_mesh.overhead.duration"
MESH_ACTIVE: Final = "llm_mesh.requests.active"
MESH_ATTEMPTS: Final = "llm_mesh.attempts"
MESH_REQUESTS: Final = "llm_mesh.requests"
MESH_DROPPED: Final = "llm_mesh.dialect.dropped"
MESH_STICKY_MISSING: Final = "llm_mesh.sticky.missing"
MESH_FALLBACKS: Final = "llm_mesh.fallbacks"
MESH_EJECTED: Final = "llm_mesh.providers.ejected"
MESH_RELOADS: Final = "llm_mesh.config.reloads"
MESH_GENERATION: Final = "llm_mesh.config.generation"
MESH_LOADED_AT: Final = "llm_mesh.config.last_success"
MESH_COST: Final = "llm_mesh.cost"
MESH_UNPRICED: Final = "llm_mesh.cost.unpriced"
MESH_MIRRORS: Final = "llm_mesh.mirror.requests"
MESH_MIRROR_DURATION: Final = "llm_mesh.mirror.duration"
MESH_DECISIONS: Final = "llm_mesh.policy.decisions"
MESH_LIMIT_TOKENS: Final = "llm_mesh.limit.tokens"
MESH_LIMIT_EXPIRED: Final = "llm_mesh.limit.expired"
MESH_CACHE_REQUESTS: Final = "llm_mesh.cache.requests"
MESH_CACHE_SAVED: Final = "llm_mesh.cache.saved_tokens"
MESH_CACHE_EMBEDDING: Final = "llm_mesh.cache.embedding_tokens"
MESH_FINDINGS: Final = "llm_mesh.guard.findings"
MESH_STORE_STATE: Final = "llm_mesh.policy.store.state"
MESH_WITHOUT_USAGE: Final = "llm_mesh.requests.without_usage"

# Usage counters by the field of `Usage` that they add up.
USAGE_COUNTERS: Final = {
    "input_tokens": "gen_ai.client.inference.usage.input_tokens",
    "output_tokens": "gen_ai.client.inference.usage.output_tokens",
    "cache_read_tokens": "gen_ai.client.inference.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.client.inference.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.client.inference.usage.reasoning.output_tokens",
}
ASM_COUNTERS: Final = {
    "input_tokens": "asm_llm_proxy_prompt_tokens",
    "output_tokens": "asm_llm_proxy_completion_tokens",
}
ASM_WORKLOAD: Final = "llmproxy_source_workload"
ASM_NAMESPACE: Final = "llmproxy_source_workload_namespace"
ASM_DESTINATION: Final = "llmproxy_destination_service"
ASM_MODEL: Final = "llmproxy_model"

SECONDS: Final = "s"
TOKENS: Final = "{token}"

DURATION_BUCKETS: Final = tuple(0.01 * 2**n for n in range(14))
TOKEN_BUCKETS: Final = tuple(4.0**n for n in range(14))
FIRST_TOKEN_BUCKETS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN_BUCKETS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3),
    *(0.4, 0.5, 0.75, 1.0, 2.5),
)
HTTP_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25),
    *(0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
OVERHEAD_BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025),
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)

# `gen_ai.provider.name` by the host that is called; any other host is named by its document.
PROVIDERS: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
PROVIDER_SUFFIXES: Final = (
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
)


@lru_cache(maxsize=1024)
def provider_name(host: str, vendor: str, document: str) -> str:
    """Return `gen_ai.provider.name` of a provider: by its host, else its vendor or its document."""
    known = PROVIDERS.get(host)
    if known is not None:
        return known
    by_suffix = next((name for suffix, name in PROVIDER_SUFFIXES if host.endswith(suffix)), None)
    return by_suffix or vendor or document
