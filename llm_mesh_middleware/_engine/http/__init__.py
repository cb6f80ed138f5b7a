"""HTTP clients, connections and the HTTP/1.1 reader."""
