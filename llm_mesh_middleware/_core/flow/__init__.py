"""One request from arrival to the end of its reply: attempts, retries, observers."""
