"""Access records, events and captured content."""
