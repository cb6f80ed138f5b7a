"""Credentials of the environment, through the libraries of those who issue them."""
