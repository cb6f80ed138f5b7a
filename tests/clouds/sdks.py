"""Clients of two vendors' SDKs for a bench."""

from __future__ import annotations

import anthropic
import openai

from tests.clouds.bench import HOST, Bench

__all__ = ["claude", "gpt"]


def gpt(made: Bench) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )


def claude(made: Bench) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    )
