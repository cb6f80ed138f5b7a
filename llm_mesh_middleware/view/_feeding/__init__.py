"""The feed of viewers: the reports of all workers as a snapshot, then changes each second."""
