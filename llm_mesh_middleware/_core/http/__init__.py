"""HTTP syntax without sockets: hosts, request heads, server-sent events, content codings."""
