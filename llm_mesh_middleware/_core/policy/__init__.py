"""Policies: decisions around an exchange; each module is independent of the others."""
