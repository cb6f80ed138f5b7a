"""The providers that a LiteLLM model name can begin with, and the base URL of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ["Form", "UNSUPPORTED", "VENDORS", "Vendor", "form_of", "split_model"]

Form = Literal["openai", "anthropic", "azure", "gemini", "bedrock", "vertex", "ollama"]


class Vendor(msgspec.Struct, frozen=True):
    """An API, by default in OpenAI's dialect.

    `base_url` is None if the configuration must state it. `variable` is the environment variable
    from which LiteLLM reads the key if the configuration has none.
    """

    base_url: str | None
    variable: str | None = None
    form: Form = "openai"


VENDORS: Mapping[str, Vendor] = {
    "anthropic": Vendor("https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic"),
    "azure": Vendor(None, "AZURE_API_KEY", "azure"),
    "bedrock": Vendor(None, form="bedrock"),
    "cerebras": Vendor("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "dashscope": Vendor(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"
    ),
    "deepinfra": Vendor("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "deepseek": Vendor("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks_ai": Vendor("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "gemini": Vendor("https://generativelanguage.googleapis.com", "GEMINI_API_KEY", "gemini"),
    "groq": Vendor("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "hosted_vllm": Vendor(None),
    "lm_studio": Vendor(None),
    "mistral": Vendor("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": Vendor("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nvidia_nim": Vendor("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "ollama": Vendor("http://localhost:11434", form="ollama"),
    "ollama_chat": Vendor("http://localhost:11434", form="ollama"),
    "openai": Vendor("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": Vendor("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Vendor("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "together_ai": Vendor("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "vertex_ai": Vendor(None, form="vertex"),
    "xai": Vendor("https://api.x.ai/v1", "XAI_API_KEY"),
}

# APIs for which the mesh has no dialect.
UNSUPPORTED = frozenset(
    ("cohere", "databricks", "huggingface", "replicate", "sagemaker", "vertex_ai_beta", "watsonx")
)


def form_of(vendor: str, *, is_embedding: bool) -> Form:
    """Return the API to call; Ollama's own is for chat, its other one has embeddings too."""
    form = VENDORS[vendor].form
    return "openai" if form == "ollama" and is_embedding else form


# Models that LiteLLM knows by name, by how their names begin. All others are OpenAI's.
_BY_NAME = {"claude-": "anthropic", "command": "cohere", "gemini-": "vertex_ai"}


def split_model(name: str) -> tuple[str, str]:
    """Split LiteLLM's `vendor/model`; the name of an unknown vendor stays whole."""
    vendor, slash, model = name.partition("/")
    if not slash:
        return next(
            (of for begin, of in _BY_NAME.items() if name.startswith(begin)), "openai"
        ), name
    return vendor, model if vendor in VENDORS or vendor in UNSUPPORTED else name
