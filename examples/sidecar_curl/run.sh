#!/bin/sh
# Start the sidecar, ask once through it, end it.
set -eu
cd "$(dirname "$0")"
port=${PORT:-15001}

llm-mesh serve --config mesh.yaml --port "$port" --log-format logfmt &
trap 'kill $! && wait' EXIT
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/healthz"; do
  kill -0 $!  # has it ended, for a mistake in mesh.yaml?
  sleep 0.1
done

# No key, no model, no TLS: any program that knows `http_proxy` is served.
http_proxy=http://127.0.0.1:$port curl --silent --show-error http://dashscope.aliyuncs.com \
  --header 'Content-Type: application/json' \
  --data '{"messages":[{"role":"user","content":"Hello"}]}'
echo
