"""Limits and budgets: from items of a policy to what the core counts with."""
