"""Values that every other package passes around: requests, responses, headers, steps."""
