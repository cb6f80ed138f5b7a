"""Spans of a call, their attributes, and the trace context that joins them."""
