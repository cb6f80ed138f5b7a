"""The events of a stream, checked by guards."""
