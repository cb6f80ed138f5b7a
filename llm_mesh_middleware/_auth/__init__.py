"""Credentials of providers: what a call needs so that the provider accepts it. No I/O."""
