#!/usr/bin/env bash
# All tests, in two processes side by side, of about the same length.
set -uo pipefail
cd "$(dirname "$0")/.."
python="${1:-python}"
rooms=(tests/integration/accounts tests/integration/billing tests/integration/stripe)
computing="$(mktemp)"
"$python" -m pytest tests/unit tests/contract "${rooms[@]}" >"$computing" 2>&1 &
first=$!
trap 'kill "$first" 2>/dev/null; rm -f "$computing"' EXIT

"$python" -m pytest tests/e2e tests/integration "${rooms[@]/#/--ignore=}"
waiting_status=$?
wait "$first"
computing_status=$?
cat "$computing"
if [ "$computing_status" -ne 0 ] || [ "$waiting_status" -ne 0 ]; then
  echo "Tests failed: tests/unit tests/contract ${rooms[*]} ended with $computing_status, the rest of tests/integration and tests/e2e with $waiting_status" >&2
  exit 1
fi
