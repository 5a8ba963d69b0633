#!/usr/bin/env bash
# Builds the geth release that tests/geth/go.mod pins, for the tests against a real Ethereum client, and prints its path.
# No C compiler is needed. About 20 s for modules and 2 min of compiling on two cores, once; kept in .cache/geth/<version>/geth.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/ethereum/go-ethereum
version=$(awk -v module="$module" '$1 == module || $2 == module { print ($1 == module) ? $2 : $3; exit }' tests/geth/go.mod)
binary="$PWD/.cache/geth/$version/geth"

if [ ! -x "$binary" ]; then
  if ! command -v go >/dev/null; then
    echo "Go is not installed: without it geth cannot be built, and the tests against it will be skipped." >&2
    exit 1
  fi
  mkdir -p "$(dirname "$binary")"
  partial="$binary.$$"
  trap 'rm -f "$partial"' EXIT
  (cd tests/geth && CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$partial" "$module/cmd/geth")
  mv "$partial" "$binary"
fi
echo "$binary"
