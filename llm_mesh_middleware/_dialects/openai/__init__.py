"""What OpenAI's chat completions and its Responses API share."""
