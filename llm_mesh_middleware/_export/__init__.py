"""Manifests for other proxies."""
