"""Limits as values: buckets, budgets, requests to a store, estimates, and the keys of counts.

Nothing here depends on flows; `policy.limits` makes these into a policy.
"""
