"""Prices: from `spec.prices`, a file or a library to what the core counts with."""
