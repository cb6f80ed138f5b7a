"""The dialects of vendors, one package each, and translation between them; without I/O.

openai_chat  openai_responses  anthropic  gemini  bedrock  ollama    a dialect each
openai  claude                   shared by dialects of one vendor, or of the same models
same                             requests and responses passed on in their own dialect
translation                      one attempt in another dialect, through the neutral form
registry  pairs  model_lists     the operation that a path names, and how it is served
"""
