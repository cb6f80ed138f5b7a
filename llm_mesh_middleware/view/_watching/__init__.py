"""What one process sees of its exchanges: the observer, and the counts that it keeps."""
