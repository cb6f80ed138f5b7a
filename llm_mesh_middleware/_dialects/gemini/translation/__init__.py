"""Gemini, from and to the neutral form."""
