"""Limits as values: buckets, what a store is asked, estimates, and which limit a request is under.

Nothing here knows of flows; `policy.limits` makes these into a policy.
"""
