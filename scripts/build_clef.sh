#!/usr/bin/env bash
# Builds the Clef of the go-ethereum release that tests/clef/go.mod pins, for the tests against a real remote signer, and
# prints its path. No C compiler is needed. About 1 min on two cores, once; kept in .cache/clef/<version>/clef.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/ethereum/go-ethereum
version=$(awk -v module="$module" '$1 == module || $2 == module { print ($1 == module) ? $2 : $3; exit }' tests/clef/go.mod)
binary="$PWD/.cache/clef/$version/clef"

if [ ! -x "$binary" ]; then
  if ! command -v go >/dev/null; then
    echo "Go is not installed: without it Clef cannot be built, and the tests against it will be skipped." >&2
    exit 1
  fi
  mkdir -p "$(dirname "$binary")"
  partial="$binary.$$"
  trap 'rm -f "$partial"' EXIT
  (cd tests/clef && CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$partial" "$module/cmd/clef")
  mv "$partial" "$binary"
fi
echo "$binary"
