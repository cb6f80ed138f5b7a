"""Prices from `spec.prices`, a file or a library, as values of the core."""
