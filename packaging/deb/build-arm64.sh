#!/usr/bin/env bash
# Builds the package for arm64 into target/deb, and runs `bothends check` of it under qemu.
#
# No arm64 standard library can be had from where this project's toolchain comes from on every machine, so it is built in a Debian 12
# root file system with the Rust that Debian packages for its browsers (rustc-web) and Debian's cross compiler. The first run takes
# some minutes more than a build; the root file system is kept in CACHE.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/deb/lib.sh
cache=${BOTHENDS_ARM64_CACHE:-/var/cache/bothends/arm64}
triple=aarch64-unknown-linux-gnu
package=$out/bothends_${version}_arm64.deb
# A cache made with another list must not be used.
stamp="1 rustc-web cargo-web libstd-rust-web-dev:arm64"

mirror() { apt-get indextargets --format '$(REPO_URI)' | grep "$1" | head -n 1; }

root_file_system() {
  [[ $(cat "$cache.made-of" 2>/dev/null) == "$stamp" ]] && return
  echo "build-arm64.sh: making $cache (once)"
  rm -rf "$cache"
  mkdir -p "$(dirname "$cache")"
  mmdebstrap --quiet --variant=apt --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --architectures=amd64,arm64 \
    --include=rustc-web,cargo-web,libstd-rust-web-dev:arm64,gcc,g++,gcc-aarch64-linux-gnu,g++-aarch64-linux-gnu,libc6-dev-arm64-cross,cmake,make,perl \
    bookworm "$cache" "deb $(mirror '/debian/$') bookworm main" "deb $(mirror debian-security) bookworm-security main"
  echo "$stamp" > "$cache.made-of"
}

build() {
  local src=$cache/src
  mkdir -p "$src"
  # What git knows, and not the target folder of this host; the one in the root file system stays.
  find "$src" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
  git ls-files -z | tar -c --null --files-from=- | tar -x -C "$src"
  cargo vendor --locked --quiet "$src/vendor" > /dev/null
  mkdir -p "$src/.cargo"
  printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/src/vendor"\n' > "$src/.cargo/config.toml"
  chroot "$cache" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-$(nproc)}" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++ SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
    RUSTFLAGS=--remap-path-prefix=/src=/usr/src/bothends CFLAGS=-ffile-prefix-map=/src=/usr/src/bothends \
    sh -c "cd /src && cargo build --locked --offline --release --bin bothends --target $triple"
}

package() {
  "$top/tests/setup.sh" cargo-deb
  mkdir -p "$target/$triple/release"
  make_documents "$triple"
  # This host's strip knows no arm64.
  chroot "$cache" aarch64-linux-gnu-strip -o "/src/target/stripped" "/src/target/$triple/release/bothends"
  cp "$cache/src/target/stripped" "$target/$triple/release/bothends"
  cargo deb --locked --no-build --no-strip --quiet --target "$triple" --deb-version "$version" --output "$out/"
}

# The program of the package, on the reference configuration of the package.
try_it() {
  local unpacked=$cache/try
  rm -rf "$unpacked"
  dpkg-deb --extract "$package" "$unpacked"
  qemu-aarch64-static -L "$cache/usr/aarch64-linux-gnu" "$unpacked/usr/bin/bothends" check \
    --config "$unpacked/usr/share/bothends/bothends.toml"
}

"$top/tests/setup.sh" arm64
root_file_system
build
package
try_it
check_size "$package"
check_lintian "$package"
