"""I/O: the drivers that carry out the steps of an exchange, HTTP clients, ports and tasks."""
