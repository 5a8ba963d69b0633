#!/usr/bin/env bash
# Debian's prometheus and promtool, unpacked without installing them and without root, for the tests of alert rules and
# of a real scrape. Prints the folder with the two programs: .cache/prometheus. About 20 MB, once.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/unpack_debian.sh

folder="$PWD/.cache/prometheus"
if [ ! -x "$folder/promtool" ] || [ ! -x "$folder/prometheus" ]; then
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/get.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  unpack_debian prometheus "$work"
  for program in prometheus promtool; do
    "$work/files/usr/bin/$program" --version >/dev/null # built for this machine, and with its libraries
    mv "$work/files/usr/bin/$program" "$folder/$program"
  done
fi
echo "$folder"
