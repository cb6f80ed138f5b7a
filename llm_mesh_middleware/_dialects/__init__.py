"""The dialects of vendors, one package each, and translation between them; without I/O.

openai_chat  openai_responses  anthropic  gemini  bedrock     a dialect: it knows no other
openai  claude                   what dialects of one vendor, or of the same models, share
same                             requests and responses passed on in their own dialect
translation                      one attempt in another dialect, through the neutral form
registry  pairs  model_lists     which operation a path names, and what serves it
"""
