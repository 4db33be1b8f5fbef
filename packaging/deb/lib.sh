# What the builds of the package for different machines have in common. Sourced by build.sh and build-arm64.sh, at the top of the clone.

top=$PWD
target=${CARGO_TARGET_DIR:-$top/target}
out=$target/deb
version=${DEB_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)-1}
# The newest glibc that the package says it needs; Debian 12 has 2.36.
glibc_max=2.34
size_max=$((5 * 1024 * 1024))
# The hour of the build may not be seen in the bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
export SOURCE_DATE_EPOCH

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# What is packaged besides what lies in the clone as it is.
make_documents() {
  local triple=$1
  mkdir -p "$top/target/package" "$out"
  python3 packaging/man/man.py "$top/target/package"
  # Debian's name for it.
  gzip -9n < CHANGELOG.md > "$top/target/package/changelog.gz"
  python3 packaging/deb/notices.py "$triple" | gzip -9n > "$top/target/package/third-party.txt.gz"
}

check_glibc() {
  local newest
  newest=$(objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -n 1)
  [[ $(printf '%s\n' "${newest#GLIBC_}" "$glibc_max" | sort -V | tail -n 1) == "$glibc_max" ]] ||
    fail "$1 wants $newest, the package says $glibc_max"
}

check_size() {
  local size
  size=$(stat -c %s "$1")
  (( size < size_max )) || fail "$1 has $size bytes; a router's flash was promised less than $size_max"
  echo "$1: $size bytes"
}

check_lintian() {
  "$top/tests/setup.sh" lintian
  lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$1"
  echo "lintian on $1: no errors, no warnings"
}
