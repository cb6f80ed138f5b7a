#!/bin/sh
# Start the sidecar, run Claude Code on it, end it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-15001}

llm-mesh serve --config "$here/mesh.yaml" --port "$port" --default-host dashscope.aliyuncs.com &
trap 'kill $! && wait' EXIT
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/healthz"; do
  kill -0 $!  # has it ended, for a mistake in mesh.yaml?
  sleep 0.1
done

# The key is the mesh's; Claude Code only wants to have one.
export ANTHROPIC_BASE_URL=http://127.0.0.1:$port ANTHROPIC_AUTH_TOKEN=unused
claude "$@"
