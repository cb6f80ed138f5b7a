"""Events of a stream as guards let them pass."""
