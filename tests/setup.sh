#!/usr/bin/env bash
# Installs what the tests and the demo need on a Debian machine; does nothing if all is installed. Needs root.
#
#   setup.sh              Debian packages: real tunnels, BGP, packet filters
#   setup.sh boot         the same, and the tools for booting a systemd in a container
#   setup.sh arm64        the tools for building and testing the package for arm64
#   setup.sh lintian      the checker of Debian packages
#   setup.sh prometheus   the tools for testing the rules of Prometheus and of Alertmanager
#   setup.sh cargo-deny   the licence and dependency check of "make lint", built from source (minutes), like
#            cargo-deb, which makes the Debian package, cargo-cyclonedx, which makes its bill of materials, and
#            cargo-fuzz, the driver of "make fuzz"
#   setup.sh browser      a browser, and what drives it and checks what it shows; prints the path of its Node modules
#   setup.sh pictures     the same, and what else the pictures of the documentation are made with
#   setup.sh cfn-lint     the checker of CloudFormation templates; prints the path of its Python
set -euo pipefail

packages=(strongswan-swanctl charon-systemd libcharon-extra-plugins bird2 frr nftables
          iproute2 iputils-ping procps util-linux curl python3 make)
boot=(systemd systemd-container dbus mmdebstrap debian-archive-keyring)
cargo_deny=0.20.2
cargo_deb=3.8.0
cargo_cyclonedx=0.5.9
cargo_fuzz=0.13.2
playwright_core=1.65.1
axe_core=4.14.1
xterm=6.0.0

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

apt_packages() {
  local p missing=() fresh=() log
  for p in "$@"; do installed "$p" || missing+=("$p"); done
  (( ${#missing[@]} )) || return 0
  [[ $EUID == 0 ]] || { echo "setup: needs root to install ${missing[*]}" >&2; exit 77; }
  echo "setup: installing ${missing[*]}"
  for p in charon-systemd:strongswan bird2:bird frr:frr prometheus:prometheus prometheus-alertmanager:prometheus-alertmanager; do
    installed "${p%%:*}" || fresh+=("${p##*:}")
  done
  # The lab starts its own charons and BIRDs, and the rules need no server; this machine's must not start, here or at the next boot.
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -q update && apt-get -qy install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
    { cat "$log" >&2; rm -f "$log"; echo "setup: apt-get failed" >&2; exit 1; }
  rm -f "$log"
  if (( ${#fresh[@]} )) && command -v systemctl >/dev/null; then
    systemctl disable --quiet "${fresh[@]}" >/dev/null 2>&1 || true
  fi
}

# A separate target directory: its artefacts must not mix with ours. Unoptimised: the tool runs only for seconds.
cargo_tool() {
  local name=$1 version=$2 root=${CARGO_HOME:-$HOME/.cargo}
  [[ -x $root/bin/$name ]] || command -v "$name" >/dev/null || {
    echo "setup: building $name $version"
    CARGO_TARGET_DIR=$(mktemp -d)
    export CARGO_TARGET_DIR
    trap 'rm -rf "$CARGO_TARGET_DIR"' EXIT
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      cargo install --quiet --locked "$name@$version"
  }
}

# A virtual environment per list of requirements and Python, outside the repository: "cargo clean" does not cost a download.
# Standard output is only the path.
cfn_lint() {
  local list home python place log
  list=$(dirname "$0")/aws/requirements.txt
  home=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bothends
  # Debian's Python has no ensurepip without python3-venv; other builds include it.
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_packages python3 python3-venv >&2
  python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable), sys.version)')
  place=$home/cfn-lint-$({ cat "$list"; echo "$python"; } | sha256sum | cut -c1-16)
  mkdir -p "$home"
  exec 9>"$place.lock"
  flock 9
  if [[ ! -e $place/complete ]]; then
    echo "setup: installing cfn-lint into $place" >&2
    rm -rf "$place"
    log=$(mktemp)
    { python3 -m venv "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$list"; } \
      >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; echo "setup: cannot install $list" >&2; exit 1; }
    rm -f "$log"
    touch "$place/complete"
  fi
  echo "$place/bin/python"
}

# Node modules of these versions and those named, outside the repository. They run no scripts of their own, and download no browser:
# Debian has one. Standard output is only the path.
browser() {
  local home place log modules=("playwright-core@$playwright_core" "axe-core@$axe_core" "$@")
  home=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bothends
  apt_packages chromium fonts-dejavu-core >&2
  command -v node >/dev/null || apt_packages nodejs >&2
  command -v npm >/dev/null || apt_packages npm >&2
  place=$home/browser-$(echo "${modules[*]}" | sha256sum | cut -c1-16)
  mkdir -p "$home"
  exec 9>"$place.lock"
  flock 9
  if [[ ! -e $place/complete ]]; then
    echo "setup: installing ${modules[*]} into $place" >&2
    rm -rf "$place"
    mkdir "$place"
    echo '{"private":true}' >"$place/package.json"
    log=$(mktemp)
    npm install --prefix "$place" --ignore-scripts --no-audit --no-fund --no-package-lock --save-exact "${modules[@]}" >"$log" 2>&1 ||
      { cat "$log" >&2; rm -f "$log"; echo "setup: cannot install ${modules[*]}" >&2; exit 1; }
    rm -f "$log"
    touch "$place/complete"
  fi
  echo "$place"
}

case ${1:-} in
  '')              apt_packages "${packages[@]}" ;;
  boot)            apt_packages "${packages[@]}" "${boot[@]}" ;;
  lintian)         apt_packages lintian ;;
  prometheus)      command -v promtool >/dev/null || apt_packages prometheus
                   command -v amtool >/dev/null || apt_packages prometheus-alertmanager ;;
  arm64)           apt_packages qemu-user-static "${boot[@]}" ;;
  cargo-deny)      cargo_tool cargo-deny "$cargo_deny" ;;
  cargo-deb)       cargo_tool cargo-deb "$cargo_deb" ;;
  cargo-cyclonedx) cargo_tool cargo-cyclonedx "$cargo_cyclonedx" ;;
  cargo-fuzz)      cargo_tool cargo-fuzz "$cargo_fuzz" ;;
  browser)         browser ;;
  pictures)        apt_packages pngquant zopfli prometheus >&2
                   browser "@xterm/xterm@$xterm" ;;
  cfn-lint)        cfn_lint ;;
  *)               sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 64 ;;
esac
