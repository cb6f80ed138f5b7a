"""The providers that a LiteLLM model name can begin with, and where each is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["UNSUPPORTED", "VENDORS", "Vendor", "split_model"]


@dataclass(frozen=True, slots=True)
class Vendor:
    """An API that speaks OpenAI's dialect.

    `base_url` is None where a configuration must name it. `variable` is the environment variable
    that LiteLLM reads the key from if the configuration has none.
    """

    base_url: str | None
    variable: str | None = None


VENDORS: Mapping[str, Vendor] = {
    "anthropic": Vendor("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "azure": Vendor(None, "AZURE_API_KEY"),
    "cerebras": Vendor("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "dashscope": Vendor(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"
    ),
    "deepinfra": Vendor("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "deepseek": Vendor("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks_ai": Vendor("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "gemini": Vendor("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "groq": Vendor("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "hosted_vllm": Vendor(None),
    "lm_studio": Vendor(None),
    "mistral": Vendor("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": Vendor("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nvidia_nim": Vendor("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "ollama": Vendor("http://localhost:11434/v1"),
    "ollama_chat": Vendor("http://localhost:11434/v1"),
    "openai": Vendor("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": Vendor("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Vendor("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "together_ai": Vendor("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "xai": Vendor("https://api.x.ai/v1", "XAI_API_KEY"),
}

# APIs with a form of their own, whose credentials a manifest of OpenAI's dialect cannot state.
UNSUPPORTED = frozenset(
    ("bedrock", "cohere", "databricks", "huggingface", "replicate", "sagemaker", "vertex_ai",
     "vertex_ai_beta", "watsonx")
)  # fmt: skip


def split_model(name: str) -> tuple[str, str]:
    """Split LiteLLM's `vendor/model`; a name without a known vendor is OpenAI's."""
    vendor, slash, model = name.partition("/")
    if slash and (vendor in VENDORS or vendor in UNSUPPORTED):
        return vendor, model
    return "openai", name
