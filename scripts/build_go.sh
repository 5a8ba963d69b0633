#!/usr/bin/env bash
# Builds a Go program that tests run against, in the release that tests/support/<target>/go.mod pins, and prints its path.
#
#     scripts/build_go.sh <target> <module> <command> [<folder>]
#
# The program is in the module's cmd/<command>, or cmd/<folder>; asked for its version, it tells the one pinned.
# No C compiler is needed. Half a minute for modules and 1 to 3 min of compiling on two cores, once; kept in .cache/<target>/<version>.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1 module=$2 command=$3 folder=${4:-$3}
version=$(awk -v module="$module" '$1 == module || $2 == module { print ($1 == module) ? $2 : $3; exit }' "tests/support/$target/go.mod")
binary="$PWD/.cache/$target/$version/$command"

if [ ! -x "$binary" ]; then
  if ! command -v go >/dev/null; then
    echo "Go is not installed: without it $command cannot be built, and the tests against it will be skipped." >&2
    exit 1
  fi
  mkdir -p "$(dirname "$binary")"
  partial="$binary.$$"
  trap 'rm -f "$partial"' EXIT
  (cd "tests/support/$target" && CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false -ldflags="-s -w -X $module.Version=${version#v}" -o "$partial" "$module/cmd/$folder")
  mv "$partial" "$binary"
fi
echo "$binary"
