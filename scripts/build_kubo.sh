#!/usr/bin/env bash
# Builds the Kubo release that tests/kubo/go.mod pins, for the tests against a real IPFS node, and prints its path.
# No C compiler is needed. About 30 s for modules and 2 min of compiling on two cores, once; kept in .cache/kubo/<version>/ipfs.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/ipfs/kubo
version=$(awk -v module="$module" '$1 == module || $2 == module { print ($1 == module) ? $2 : $3; exit }' tests/kubo/go.mod)
binary="$PWD/.cache/kubo/$version/ipfs"

if [ ! -x "$binary" ]; then
  if ! command -v go >/dev/null; then
    echo "Go is not installed: without it Kubo cannot be built, and the tests against it will be skipped." >&2
    exit 1
  fi
  mkdir -p "$(dirname "$binary")"
  partial="$binary.$$"
  trap 'rm -f "$partial"' EXIT
  (cd tests/kubo && CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$partial" "$module/cmd/ipfs")
  mv "$partial" "$binary"
fi
echo "$binary"
