"""The parts of `llm-mesh serve` around the middleware: connections, web pages, signals."""
