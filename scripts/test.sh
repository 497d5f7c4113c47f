#!/usr/bin/env bash
# All tests, in two processes side by side: one half computes, the other mostly waits for servers and browsers.
set -uo pipefail
cd "$(dirname "$0")/.."
python="${1:-python}"
computing="$(mktemp)"
"$python" -m pytest tests/unit tests/contract >"$computing" 2>&1 &
first=$!
trap 'kill "$first" 2>/dev/null; rm -f "$computing"' EXIT

"$python" -m pytest tests/e2e tests/integration
waiting_status=$?
wait "$first"
computing_status=$?
cat "$computing"
if [ "$computing_status" -ne 0 ] || [ "$waiting_status" -ne 0 ]; then
  echo "Tests failed: tests/unit tests/contract ended with $computing_status, tests/e2e tests/integration with $waiting_status" >&2
  exit 1
fi
