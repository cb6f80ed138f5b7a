"""Drivers: carry out the steps of an exchange, synchronously and asynchronously."""
