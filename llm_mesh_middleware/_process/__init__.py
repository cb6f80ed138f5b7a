"""What belongs to one process: its files on disk, and its life after a fork."""
