"""Providers: what the mesh calls, with which credential, and their health."""
