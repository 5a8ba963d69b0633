#!/usr/bin/env bash
# Writes DIR/solc-v<version>, the compiler that forge and py-solc-x (through SOLCX_BINARY_PATH=DIR) run.
# It keeps its outputs in DIR/../solc-cache.
# Usage: scripts/install_solc.sh DIR. The version is that of the npm package `solc` in package-lock.json.
# A native `solc` of that version on PATH does the compiling (several times faster); else the npm package does.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
directory=${1:?usage: scripts/install_solc.sh DIR}
version=$(node -p "require('$root/node_modules/solc/package.json').version")

native=$(command -v solc || true)
full=""
if [ -n "$native" ]; then
    full=$("$native" --version 2>/dev/null | sed -n 's/^Version: //p' || true)
fi
case "$full" in
    "$version+"*) ;;
    *)
        native=""
        full=$(node "$root/scripts/solc.js" --version | sed -n 's/^Version: //p')
        ;;
esac

mkdir -p "$directory"
cache="$(cd "$directory/.." && pwd)/solc-cache"
target="$directory/solc-v$version"
# The version is fixed here: the tools ask for it before every compilation.
cat > "$target.tmp" <<LAUNCHER
#!/bin/sh
if [ "\$1" = --version ]; then
    echo "solc, the solidity compiler commandline interface"
    echo "Version: $full"
    exit 0
fi
COVEY_SOLC_NATIVE='$native' COVEY_SOLC_CACHE="\${COVEY_SOLC_CACHE-$cache}" exec node '$root/scripts/solc.js' "\$@"
LAUNCHER
chmod 755 "$target.tmp"
mv "$target.tmp" "$target"
echo "solc $full (${native:-solc-js})"
