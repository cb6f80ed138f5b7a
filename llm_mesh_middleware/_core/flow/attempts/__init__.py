"""The attempts of one exchange: their order, retries, and the call that each one makes."""
