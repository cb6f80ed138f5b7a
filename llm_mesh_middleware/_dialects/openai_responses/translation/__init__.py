"""Responses in the neutral form, and back."""
