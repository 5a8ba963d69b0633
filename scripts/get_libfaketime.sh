#!/usr/bin/env bash
# Debian's libfaketime, unpacked without installing it and without root, for the tests with a clock that is wrong.
# Prints the path of the library: .cache/libfaketime/libfaketimeMT.so.1. 30 kB, once.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/unpack_debian.sh

folder="$PWD/.cache/libfaketime"
if [ ! -f "$folder/libfaketimeMT.so.1" ]; then
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/get.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  unpack_debian libfaketime "$work"
  mv "$work"/files/usr/lib/*/faketime/libfaketimeMT.so.1 "$folder/"
fi
echo "$folder/libfaketimeMT.so.1"
