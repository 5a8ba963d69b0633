#!/usr/bin/env bash
# Debian's libfaketime, unpacked without installing it and without root, for the tests with a clock that is wrong.
# Prints the path of the library: .cache/libfaketime/libfaketimeMT.so.1. 30 kB, once.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="$PWD/.cache/libfaketime"
if [ ! -f "$folder/libfaketimeMT.so.1" ]; then
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "This is no Debian: install libfaketime by other means, or the tests that need it will be skipped." >&2
    exit 1
  fi
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/get.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Lists and caches of its own: the machine's may be missing or stale, and only root may write them.
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Debug::NoLocking=1" -o "APT::Sandbox::User=")
  (
    cd "$work"
    apt-get download -qq libfaketime 2>/dev/null || {
      apt-get "${own[@]}" update -qq
      apt-get "${own[@]}" download -qq libfaketime
    }
  ) >&2
  dpkg-deb -x "$work"/libfaketime_*.deb "$work/files"
  mv "$work"/files/usr/lib/*/faketime/libfaketimeMT.so.1 "$folder/"
fi
echo "$folder/libfaketimeMT.so.1"
