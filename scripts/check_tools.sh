#!/usr/bin/env bash
# Stops with a line that says what to install when a tool is missing or too old. Usage: check_tools.sh python|node|foundry [PYTHON]
set -euo pipefail

fail() {
    echo "error: $1" >&2
    exit 1
}

case "$1" in
    python)
        command -v "$2" > /dev/null || fail "$2 not found; install Python 3.11, or name one: make PYTHON=/path/to/python3.11"
        "$2" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || fail "$2 is not Python 3.11; name one: make PYTHON=/path/to/python3.11"
        "$2" -c 'import ensurepip, venv' 2> /dev/null || fail "$2 cannot make virtual environments; install its venv module (Debian: python3.11-venv)"
        ;;
    node)
        command -v node > /dev/null || fail "node not found; install Node.js 20 or later"
        command -v npm > /dev/null || fail "npm not found; it comes with Node.js"
        major=$(node -p 'process.versions.node.split(".")[0]')
        [ "$major" -ge 20 ] || fail "Node.js $major is too old; install Node.js 20 or later"
        ;;
    foundry)
        # npm brings Foundry for 64-bit Linux on x86; elsewhere it has to be there already.
        for tool in anvil forge cast; do
            "$tool" --version > /dev/null || fail "$tool does not run; install Foundry 1.7 and put it on PATH"
        done
        ;;
    *) fail "usage: check_tools.sh python|node|foundry [PYTHON]" ;;
esac
