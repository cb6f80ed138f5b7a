"""The members and errors that OpenAI's chat completions and its Responses API share."""
