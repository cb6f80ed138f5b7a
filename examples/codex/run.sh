#!/bin/sh
# Start the sidecar, run Codex on it, end it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-15001}

llm-mesh serve --config "$here/mesh.yaml" --port "$port" --default-host dashscope.aliyuncs.com &
trap 'kill $! && wait' EXIT
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/healthz"; do
  kill -0 $!  # has it ended, for a mistake in mesh.yaml?
  sleep 0.1
done

# Codex speaks Responses only, which the mesh translates.
codex --config model_provider=mesh \
  --config model_providers.mesh.name=mesh \
  --config model_providers.mesh.base_url="http://127.0.0.1:$port/v1" \
  --config model_providers.mesh.wire_api=responses "$@"
