"""What `llm-mesh serve` consists of beside the middleware: connections, web pages, signals."""
