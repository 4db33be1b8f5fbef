#!/usr/bin/env bash
# Builds the Debian package into target/deb: the same commit gives the same bytes in any directory.
#
#   build.sh            bothends_VERSION_ARCH.deb and, apart, the debug symbols
#   build.sh --all      also the bill of materials, lintian's verdict and SHA256SUMS
#   build.sh --twice    a second time, from a clone elsewhere, with all that it depends on, and the bytes must be the same
#
# DEB_VERSION=0.0.9-1 gives the package another version, for trying upgrades; CARGO_TARGET_DIR is honoured.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/deb/lib.sh
package=$out/bothends_${version}_$(dpkg --print-architecture).deb

# The directory may not be seen in the bytes.
reproducibly() {
  local cargo=${CARGO_HOME:-$HOME/.cargo} crates remap prefix
  remap="--remap-path-prefix=$top=/usr/src/bothends"
  prefix="-ffile-prefix-map=$target=/usr/src/bothends/target -ffile-prefix-map=$top=/usr/src/bothends"
  # The folder that crates are unpacked into is named after where they come from.
  for crates in "$cargo"/registry/src/*/; do
    remap+=" --remap-path-prefix=${crates%/}=/usr/src/crates"
    prefix+=" -ffile-prefix-map=${crates%/}=/usr/src/crates"
  done
  RUSTFLAGS=$remap CFLAGS=$prefix CXXFLAGS=$prefix "$@"
}

build() {
  "$top/tests/setup.sh" cargo-deb
  # The folder of the crates is there before its name is needed.
  cargo fetch --locked --quiet
  make_documents "$(rustc --print host-tuple)"
  reproducibly cargo build --locked --release --bin bothends
  # A package with the debug symbols apart; cargo-deb names it -dbgsym.
  reproducibly cargo deb --locked --no-build --quiet --dbgsym --compress-debug-symbols=zlib \
    --deb-version "$version" --output "$out/"
  check_glibc "$target/release/bothends"
  check_size "$package"
}

bill_of_materials() {
  "$top/tests/setup.sh" cargo-cyclonedx
  # It writes beside Cargo.toml, dates what it writes by SOURCE_DATE_EPOCH, and names the directory of the clone.
  cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --override-filename bothends.cdx
  sed "s|file://$top|file:///usr/src/bothends|g" bothends.cdx.json > "$out/bothends_${version}.cdx.json"
  rm bothends.cdx.json
  echo "$out/bothends_${version}.cdx.json: $(grep -c '"type": "library"' "$out/bothends_${version}.cdx.json") libraries"
}

# In a clone whose path is another, and of another length.
again_elsewhere() {
  local file symbols=$out/bothends-dbgsym_${package##*/bothends_}
  elsewhere=$(mktemp -d "${TMPDIR:-/tmp}/bothends-a-second-time-XXXXXX")
  trap 'rm -rf "$elsewhere"' EXIT
  git clone --quiet --no-hardlinks --no-checkout "$top" "$elsewhere/clone"
  git -C "$elsewhere/clone" checkout --quiet --detach "$(git rev-parse HEAD)"
  env -u CARGO_TARGET_DIR "$elsewhere/clone/packaging/deb/build.sh"
  for file in "$package" "${symbols%.deb}.ddeb"; do
    cmp "$file" "$elsewhere/clone/target/deb/${file##*/}" || fail "${file##*/} is not the same elsewhere"
  done
  (cd "$out" && sha256sum -- "${package##*/}")
  echo "the same bytes here and in $elsewhere/clone, debug symbols included"
}

if [[ ${1:-} == --twice && -n $(git status --porcelain) ]]; then
  fail "--twice compares builds of one commit; commit first"
fi
build
case ${1:-} in
  --twice) again_elsewhere ;;
  --all)
    bill_of_materials
    check_lintian "$package"
    (cd "$out" && sha256sum -- *"${version}"* | tee SHA256SUMS)
    ;;
esac
