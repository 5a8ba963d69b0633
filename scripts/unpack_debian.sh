# To be sourced. Unpacks a Debian package without installing it and without root:
#
#     unpack_debian <package> <folder>
#
# Puts its files under <folder>/files. Fails with a line on stderr where this is no Debian.
# shellcheck shell=bash

unpack_debian() {
  local package=$1 work=$2
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "This is no Debian: install $package by other means, or the tests that need it will be skipped." >&2
    return 1
  fi
  # Lists and caches of its own: the machine's may be missing or stale, and only root may write them.
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  local own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Debug::NoLocking=1" -o "APT::Sandbox::User=")
  local patient=(-o "Acquire::Retries=3" -o "Acquire::http::Timeout=30" -o "Acquire::https::Timeout=30")
  (
    cd "$work" || exit 1
    apt-get "${patient[@]}" download -qq "$package" 2>/dev/null || {
      apt-get "${own[@]}" "${patient[@]}" update -qq &&
        apt-get "${own[@]}" "${patient[@]}" download -qq "$package"
    }
  ) >&2 || return 1
  dpkg-deb -x "$work/$package"_*.deb "$work/files"
}
