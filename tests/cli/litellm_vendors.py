"""LiteLLM configurations that differ in what they call: vendors, keys, names of models."""

from __future__ import annotations

from tests.cli.litellm_shapes import LITERAL, OPENAI, Shape

VENDORS = [
    Shape(
        "one model",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
        """,
        {"gpt-4o": [f"{OPENAI} gpt-4o"]},
    ),
    Shape(
        "a name of its own",
        """
        model_list:
          - model_name: fast
            litellm_params: {model: groq/llama-3.3-70b-versatile}
        """,
        {
            "fast": [
                "https://api.groq.com/openai/v1/chat/completions llama-3.3-70b-versatile",
            ]
        },
    ),
    Shape(
        "a model without a vendor",
        """
        model_list:
          - model_name: gpt-4o-mini
            litellm_params: {model: gpt-4o-mini}
        """,
        {"gpt-4o-mini": [f"{OPENAI} gpt-4o-mini"]},
    ),
    Shape(
        "models that LiteLLM knows by name",
        """
        model_list:
          - model_name: claude-sonnet-4-5
            litellm_params: {model: claude-sonnet-4-5}
        """,
        {"claude-sonnet-4-5": ["https://api.anthropic.com/v1/messages claude-sonnet-4-5"]},
    ),
    Shape(
        "a vendor that nobody here knows, at a server of its own and elsewhere",
        """
        model_list:
          - model_name: near
            litellm_params: {model: nearby/large, api_base: https://llm.corp.example/v1}
          - model_name: far
            litellm_params: {model: faraway/large, api_key: os.environ/FARAWAY_API_KEY}
          - model_name: command-r
            litellm_params: {model: command-r}
        """,
        {"near": ["https://llm.corp.example/v1/chat/completions nearby/large"]},
        remarks=("faraway has no API that the mesh", "cohere has no API that the mesh"),
    ),
    Shape(
        "Azure deployments, shared by rpm",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params:
              model: azure/gpt-4o-eu
              api_base: https://eu.openai.azure.com/
              api_key: os.environ/AZURE_EU
              api_version: "2025-01-01-preview"
              rpm: 900
          - model_name: gpt-4o
            litellm_params:
              model: azure/gpt-4o-us
              api_base: https://us.openai.azure.com/
              api_key: os.environ/AZURE_US
              rpm: 100
        """,
        {
            "gpt-4o": [
                "https://eu.openai.azure.com/openai/deployments/gpt-4o-eu/chat/completions"
                "?api-version=2025-01-01-preview gpt-4o-eu",
                "https://us.openai.azure.com/openai/deployments/gpt-4o-us/chat/completions"
                "?api-version=2024-10-21 gpt-4o-us",
            ]
        },
        ("model_list[0].litellm_params.rpm: ", "model_list[1].litellm_params.rpm: "),
        {"weights": [900, 100]},
    ),
    Shape(
        "a server on this machine, without a key",
        """
        model_list:
          - model_name: llama
            litellm_params: {model: ollama/llama3.2, api_base: "http://localhost:11434"}
          - model_name: qwen
            litellm_params:
              model: hosted_vllm/Qwen/Qwen3-32B
              api_base: http://10.0.0.5:8000/v1
              api_key: none
        """,
        {
            "llama": ["http://localhost:11434/api/chat llama3.2"],
            "qwen": ["http://10.0.0.5:8000/v1/chat/completions Qwen/Qwen3-32B"],
        },
    ),
    Shape(
        "Ollama with options of its models",
        """
        model_list:
          - model_name: llama
            litellm_params:
              model: ollama_chat/llama3.2
              num_ctx: 16384
              temperature: 0.2
              max_tokens: 500
              keep_alive: 8m
              reasoning_effort: low
          - model_name: far
            litellm_params:
              model: ollama/qwen3
              api_base: http://gpu.example:8080/ollama
              api_key: os.environ/OLLAMA_KEY
          - model_name: local
            litellm_params: {model: ollama/llama3.2}
        """,
        {
            "llama": ["http://localhost:11434/api/chat llama3.2"],
            "far": ["http://gpu.example:8080/ollama/api/chat qwen3"],
            "local": ["http://localhost:11434/api/chat llama3.2"],
        },
        ("config.yaml:10: model_list[0].litellm_params.reasoning_effort: has no equivalent",),
        provider={
            "options": [{"num_ctx": 16384, "temperature": 0.2, "num_predict": 500}, {}, {}],
            "kept": [{"keep_alive": "8m"}],
        },
    ),
    Shape(
        "embeddings of Ollama",
        """
        model_list:
          - model_name: embed
            litellm_params: {model: ollama/nomic-embed-text}
            model_info: {mode: embedding}
        """,
        {"embed": ["http://localhost:11434/v1/chat/completions nomic-embed-text"]},
        provider={"mapping": [{"embed": "nomic-embed-text"}]},
    ),
    Shape(
        "an OpenAI-compatible server",
        """
        model_list:
          - model_name: ours
            litellm_params:
              model: openai/our-model
              api_base: https://llm.corp.example:8443/gateway/v1
              api_key: os.environ/CORP_KEY
              extra_headers: {X-Team: search}
        """,
        {"ours": ["https://llm.corp.example:8443/gateway/v1/chat/completions our-model"]},
        rule={"headers": {"x-team"}},
    ),
    Shape(
        "two accounts at one vendor",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_A}
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_B}
        """,
        {"gpt-4o": [f"{OPENAI} gpt-4o", f"{OPENAI} gpt-4o"]},
    ),
    Shape(
        "a literal key",
        f"""
        model_list:
          - model_name: gpt-4o
            litellm_params: {{model: openai/gpt-4o, api_key: {LITERAL}}}
        """,
        {"gpt-4o": [f"{OPENAI} gpt-4o"]},
        ("model_list[0].litellm_params.api_key: is a literal key", "set OPENAI_API_KEY_0"),
    ),
    Shape(
        "every model of a vendor",
        """
        model_list:
          - model_name: "*"
            litellm_params: {model: "openai/*"}
          - model_name: "claude-*"
            litellm_params: {model: "anthropic/claude-*"}
          - model_name: claude-haiku-4-5
            litellm_params: {model: openrouter/anthropic/claude-haiku-4.5}
        """,
        {
            "anything": [f"{OPENAI} anything"],
            "claude-opus-4-1": ["https://api.anthropic.com/v1/messages claude-opus-4-1"],
            "claude-haiku-4-5": [
                "https://openrouter.ai/api/v1/chat/completions anthropic/claude-haiku-4.5"
            ],
        },
    ),
    Shape(
        "a prefix that would have to be removed",
        """
        model_list:
          - model_name: "groq/*"
            litellm_params: {model: "groq/*"}
          - model_name: plain
            litellm_params: {model: groq/plain}
        """,
        {"plain": ["https://api.groq.com/openai/v1/chat/completions plain"]},
        ("'groq/*' would have to be renamed to '*'",),
    ),
    Shape(
        "vendors without a dialect here, and settings without an equivalent",
        """
        model_list:
          - model_name: command
            litellm_params: {model: cohere/command-r}
          - model_name: llama
            litellm_params: {model: vertex_ai/meta/llama-4, vertex_project: p}
          - model_name: gpt
            litellm_params: {model: openai/gpt, made_up: 1}
        """,
        {"gpt": [f"{OPENAI} gpt"]},
        (
            "model_list[0].litellm_params.model: cohere has no",
            "model_list[1].litellm_params.model: 'meta/llama-4' is neither",
            "model_list[2].litellm_params.made_up: has no equivalent",
        ),
    ),
    Shape(
        "Claude at Anthropic and on Bedrock",
        """
        model_list:
          - model_name: claude
            litellm_params:
              model: anthropic/claude-sonnet-4-6
              api_key: os.environ/ANTHROPIC_API_KEY
              max_tokens: 8192
              order: 1
          - model_name: claude
            litellm_params:
              model: bedrock/converse/eu.anthropic.claude-sonnet-4-6-v1:0
              aws_region_name: eu-central-1
              aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
              aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
              order: 2
        """,
        {
            "claude": [
                "https://api.anthropic.com/v1/messages claude-sonnet-4-6",
                "https://bedrock-runtime.eu-central-1.amazonaws.com/model/"
                "eu.anthropic.claude-sonnet-4-6-v1%3A0/converse"
                " eu.anthropic.claude-sonnet-4-6-v1:0",
            ]
        },
        rule={"priorities": [0, 1]},
    ),
    Shape(
        "Gemini and Claude on Vertex AI",
        """
        model_list:
          - model_name: pro
            litellm_params:
              model: vertex_ai/gemini-2.5-pro
              vertex_project: os.environ/PROJECT
              vertex_location: europe-west4
          - model_name: opus
            litellm_params:
              model: vertex_ai/claude-opus-4-5@20251101
              vertex_project: my-project
              vertex_location: global
        """,
        {
            "pro": [
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/value-of-PROJECT"
                "/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent"
                " gemini-2.5-pro"
            ],
            "opus": [
                "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global"
                "/publishers/anthropic/models/claude-opus-4-5%4020251101:rawPredict"
                " claude-opus-4-5@20251101"
            ],
        },
    ),
    Shape(
        "an embedding model of another name",
        """
        model_list:
          - model_name: embed
            litellm_params: {model: openai/text-embedding-3-small}
            model_info: {mode: embedding}
          - model_name: gpt
            litellm_params: {model: openai/gpt}
        """,
        {"gpt": [f"{OPENAI} gpt"]},
        provider={"mapping": [{"embed": "text-embedding-3-small"}]},
    ),
]
