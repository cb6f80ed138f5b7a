"""Things of one process: its files on disk, and its state after a fork."""
