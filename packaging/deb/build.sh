#!/usr/bin/env bash
# Builds the Debian package into target/deb: the same commit gives the same bytes in any directory.
#
#   build.sh            bothends_VERSION_ARCH.deb and, apart, the debug symbols
#   build.sh --all      also the bill of materials, lintian's verdict and SHA256SUMS
#
# DEB_VERSION=0.0.9-1 gives the package another version, for trying upgrades; CARGO_TARGET_DIR is honoured.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
target=${CARGO_TARGET_DIR:-$top/target}
out=$target/deb
version=${DEB_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)-1}
arch=$(dpkg --print-architecture)
package=$out/bothends_${version}_${arch}.deb
# The newest glibc that the package says it needs: Debian 12, Ubuntu 22.04.
glibc_max=2.34
size_max=$((5 * 1024 * 1024))

fail() { echo "build.sh: $*" >&2; exit 1; }

# Neither the directory nor the hour may be seen in the bytes.
reproducibly() {
  local cargo=${CARGO_HOME:-$HOME/.cargo} crates remap prefix
  export SOURCE_DATE_EPOCH
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
  remap="--remap-path-prefix=$top=/usr/src/bothends"
  prefix="-ffile-prefix-map=$target=/usr/src/bothends/target -ffile-prefix-map=$top=/usr/src/bothends"
  # The folder that crates are unpacked into is named after where they come from.
  for crates in "$cargo"/registry/src/*/; do
    remap+=" --remap-path-prefix=${crates%/}=/usr/src/crates"
    prefix+=" -ffile-prefix-map=${crates%/}=/usr/src/crates"
  done
  export RUSTFLAGS=$remap CFLAGS=$prefix
  export CXXFLAGS=$CFLAGS
  "$@"
}

build() {
  "$top/tests/setup.sh" cargo-deb
  mkdir -p "$out"
  mkdir -p "$top/target/package"
  # The folder of the crates is there before its name is needed.
  cargo fetch --locked --quiet
  python3 packaging/man/man.py "$top/target/package"
  reproducibly cargo build --locked --release --bin bothends
  # A package with the debug symbols apart; cargo-deb names it -dbgsym.
  reproducibly cargo deb --locked --no-build --quiet --dbgsym --compress-debug-symbols=zlib \
    --deb-version "$version" --output "$out/"
  check_glibc "$target/release/bothends"
  local size
  size=$(stat -c %s "$package")
  (( size < size_max )) || fail "the package has $size bytes; a router's flash was promised less than $size_max"
  echo "$package: $size bytes"
}

check_glibc() {
  local newest
  newest=$(objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -n 1)
  [[ $(printf '%s\n' "${newest#GLIBC_}" "$glibc_max" | sort -V | tail -n 1) == "$glibc_max" ]] ||
    fail "the binary wants $newest, the package says $glibc_max"
}

bill_of_materials() {
  "$top/tests/setup.sh" cargo-cyclonedx
  # It writes beside Cargo.toml, dates what it writes by SOURCE_DATE_EPOCH, and names the directory of the clone.
  reproducibly cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --override-filename bothends.cdx
  sed "s|file://$top|file:///usr/src/bothends|g" bothends.cdx.json > "$out/bothends_${version}.cdx.json"
  rm bothends.cdx.json
  echo "$out/bothends_${version}.cdx.json: $(grep -c '"type": "library"' "$out/bothends_${version}.cdx.json") libraries"
}

verdict() {
  "$top/tests/setup.sh" lintian
  lintian --fail-on error,warning --tag-display-limit 0 "$package"
  echo "lintian: no errors, no warnings"
}

build
if [[ ${1:-} == --all ]]; then
  bill_of_materials
  verdict
  (cd "$out" && sha256sum -- *"${version}"* | tee SHA256SUMS)
fi
