"""Watches the exchanges of one process: the observer, and the counts that it keeps."""
