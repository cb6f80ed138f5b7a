"""LiteLLM configurations that differ in how they route, limit and charge."""

from __future__ import annotations

from tests.cli.litellm_shapes import GEMINI, LITERAL, OPENAI, Shape

ROUTERS = [
    Shape(
        "fallbacks between models",
        """
        model_list:
          - model_name: big
            litellm_params: {model: openai/gpt-4.1}
          - model_name: small
            litellm_params: {model: openai/gpt-4.1-mini}
          - model_name: other
            litellm_params: {model: mistral/mistral-large-latest}
        litellm_settings:
          num_retries: 3
          request_timeout: 30
          fallbacks: [{big: [small, other]}]
        """,
        {
            "big": [
                f"{OPENAI} gpt-4.1",
                f"{OPENAI} gpt-4.1-mini",
                "https://api.mistral.ai/v1/chat/completions mistral-large-latest",
            ],
            "small": [f"{OPENAI} gpt-4.1-mini"],
        },
        rule={"priorities": [0, 1, 2], "attempts": 3, "request": 30.0},
    ),
    Shape(
        "a fallback for long prompts",
        """
        model_list:
          - model_name: short
            litellm_params: {model: openai/gpt-4o}
          - model_name: long
            litellm_params: {model: gemini/gemini-2.5-pro}
        router_settings:
          context_window_fallbacks: [{short: [long]}]
        """,
        {
            "short": [
                f"{OPENAI} gpt-4o",
                f"{GEMINI}/gemini-2.5-pro:generateContent gemini-2.5-pro",
            ]
        },
        ("context_window_fallbacks: short: the models it names are used after any other failure",),
        {"reasons": ["context_length_exceeded"]},
    ),
    Shape(
        "default fallbacks, and one that is missing",
        """
        model_list:
          - model_name: a
            litellm_params: {model: xai/grok-3}
          - model_name: b
            litellm_params: {model: deepseek/deepseek-chat}
        litellm_settings:
          default_fallbacks: [b, nowhere]
        """,
        {
            "a": [
                "https://api.x.ai/v1/chat/completions grok-3",
                "https://api.deepseek.com/v1/chat/completions deepseek-chat",
            ],
            "b": ["https://api.deepseek.com/v1/chat/completions deepseek-chat"],
        },
        ("default_fallbacks: a: 'nowhere' is not a model of this file",),
    ),
    Shape(
        "an order of deployments",
        """
        model_list:
          - model_name: m
            litellm_params: {model: openai/m, order: 2}
          - model_name: m
            litellm_params: {model: together_ai/org/m, order: 1}
        """,
        {
            "m": [
                "https://api.together.xyz/v1/chat/completions org/m",
                f"{OPENAI} m",
            ]
        },
    ),
    Shape(
        "aliases of a model",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o}
        router_settings:
          model_group_alias:
            gpt-4: gpt-4o
            hidden: {model: gpt-4o, hidden: true}
        """,
        {name: [f"{OPENAI} gpt-4o"] for name in ("gpt-4o", "gpt-4", "hidden")},
    ),
    Shape(
        "default parameters",
        """
        model_list:
          - model_name: poet
            litellm_params: {model: openai/gpt-4o, temperature: 1.2, max_tokens: 200}
          - model_name: clerk
            litellm_params: {model: openai/gpt-4o, temperature: 0}
        """,
        {"poet": [f"{OPENAI} gpt-4o"], "clerk": [f"{OPENAI} gpt-4o"]},
        provider={"defaults": [{"temperature": 1.2, "max_tokens": 200}, {"temperature": 0}]},
    ),
    Shape(
        "how a deployment fails",
        """
        model_list:
          - model_name: m
            litellm_params:
              model: openai/m
              timeout: 60
              stream_timeout: 0.5
              max_retries: 0
              max_parallel_requests: 7
        router_settings:
          allowed_fails: 3
          cooldown_time: 30
          routing_strategy: latency-based-routing
        """,
        {"m": [f"{OPENAI} m"]},
        rule={"attempts": 0, "request": 60.0, "first_byte": 0.5},
        provider={"failures": 4, "ejection": 30.0, "concurrency": 7},
    ),
    Shape(
        "what a token costs",
        """
        model_list:
          - model_name: cheap
            litellm_params:
              model: openai/gpt-4.1-mini
              input_cost_per_token: 4.0e-7
              output_cost_per_token: 0.0000016
          - model_name: dear
            litellm_params: {model: openai/gpt-4.1}
            model_info: {input_cost_per_token: 0.000002, cache_read_input_token_cost: 5e-7}
        """,
        {"cheap": [f"{OPENAI} gpt-4.1-mini"]},
        provider={
            "prices": [
                ("gpt-4.1-mini", {"input": "0.4", "output": "1.6"}),
                ("gpt-4.1", {"input": "2", "cache_read": "0.5"}),
            ]
        },
    ),
    Shape(
        "limits that are enforced, and the least used deployment",
        """
        model_list:
          - model_name: m
            litellm_params: {model: openai/m, api_key: os.environ/KEY_A, rpm: 60, tpm: 100000}
          - model_name: m
            litellm_params: {model: openai/m, api_key: os.environ/KEY_B, rpm: 30}
        router_settings:
          routing_strategy: usage-based-routing-v2
          optional_pre_call_checks: [enforce_model_rate_limits]
        """,
        {"m": [f"{OPENAI} m", f"{OPENAI} m"]},
        balance="headroom",
        limits=[
            {"name": "m-requests", "requests": 60, "targets": ["api.openai.com"]},
            {"name": "m-tokens", "tokens": 100_000, "targets": ["api.openai.com"]},
            {"name": "m-requests", "requests": 30, "targets": ["openai-2.internal"]},
        ],
    ),
    Shape(
        "a cache, and callers that are limited",
        f"""
        model_list:
          - model_name: m
            litellm_params: {{model: openai/m}}
        litellm_settings:
          cache: true
          cache_params: {{type: redis, host: cache.internal, password: {LITERAL}, ttl: 600}}
        general_settings:
          max_parallel_requests: 8
          global_max_parallel_requests: 100
        """,
        {"m": [f"{OPENAI} m"]},
        (
            "litellm_settings.cache: a consumer gets only",
            "litellm_settings.cache_params.password: was not copied",
        ),
        limits=[
            {"name": "per-consumer", "by": ("consumer",), "concurrency": 8},
            {"name": "all-callers", "concurrency": 100},
        ],
        ttl_s=600,
    ),
    Shape(
        "budgets of all, of a vendor and of a deployment",
        """
        model_list:
          - model_name: m
            litellm_params: {model: openai/m, api_key: os.environ/KEY_A}
          - model_name: m
            litellm_params: {model: openai/m, api_key: os.environ/KEY_B}
          - model_name: n
            litellm_params: {model: groq/n, max_budget: 0.5, budget_duration: 2d}
        litellm_settings: {max_budget: 100, budget_duration: 30d}
        router_settings:
          provider_budget_config:
            openai: {budget_limit: 12.25, time_period: 1d}
            mistral: {budget_limit: 1, time_period: 1d}
        """,
        {"m": [f"{OPENAI} m", f"{OPENAI} m"]},
        ("provider_budget_config.mistral: has no amount, or no model",),
        budgets=[
            ("all", "100", "month", []),
            ("n", "0.5", 48 * 3600.0, ["api.groq.com"]),
            ("openai", "12.25", "day", ["api.openai.com", "openai-2.internal"]),
        ],
    ),
    Shape(
        "settings of the proxy",
        f"""
        model_list:
          - model_name: gpt
            litellm_params: {{model: openai/gpt}}
        general_settings:
          master_key: {LITERAL}
          database_url: postgres://{LITERAL}
        litellm_settings:
          drop_params: true
          cache: true
          cache_params: {{type: redis, password: {LITERAL}}}
          callbacks: [otel]
        environment_variables: {{LANGFUSE_SECRET_KEY: {LITERAL}}}
        guardrails: []
        """,
        {"gpt": [f"{OPENAI} gpt"]},
        (
            "general_settings.master_key: was not copied; set LLM_MESH_CLIENT_KEYS",
            "general_settings.database_url: has no equivalent",
            "litellm_settings.drop_params: ",
            "litellm_settings.cache: a consumer gets only",
            "litellm_settings.callbacks: use OpenTelemetry",
            "environment_variables: set them in the environment",
            "guardrails: ",
        ),
    ),
]
