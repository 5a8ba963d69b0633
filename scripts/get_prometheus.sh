#!/usr/bin/env bash
# Debian's prometheus and promtool, unpacked without installing them and without root, for the tests of alert rules and
# of a real scrape. Prints the folder with the two programs: .cache/prometheus. About 20 MB, once.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="$PWD/.cache/prometheus"
if [ ! -x "$folder/promtool" ] || [ ! -x "$folder/prometheus" ]; then
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "This is no Debian: install prometheus by other means, or the tests that need it will be skipped." >&2
    exit 1
  fi
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/get.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Lists and caches of its own: the machine's may be missing or stale, and only root may write them.
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Debug::NoLocking=1" -o "APT::Sandbox::User=")
  patient=(-o "Acquire::Retries=3" -o "Acquire::http::Timeout=30" -o "Acquire::https::Timeout=30")
  (
    cd "$work"
    apt-get "${patient[@]}" download -qq prometheus 2>/dev/null || {
      apt-get "${own[@]}" "${patient[@]}" update -qq
      apt-get "${own[@]}" "${patient[@]}" download -qq prometheus
    }
  ) >&2
  dpkg-deb -x "$work"/prometheus_*.deb "$work/files"
  for program in prometheus promtool; do
    "$work/files/usr/bin/$program" --version >/dev/null # built for this machine, and with its libraries
    mv "$work/files/usr/bin/$program" "$folder/$program"
  done
fi
echo "$folder"
