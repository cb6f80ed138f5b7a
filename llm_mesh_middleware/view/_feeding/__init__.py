"""What viewers get: the reports of all workers as a snapshot, and what changes each second."""
