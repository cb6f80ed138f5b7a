"""The rules of Claude models, which the Messages API and Converse share."""
