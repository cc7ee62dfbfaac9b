#!/usr/bin/env bash
# Makes a fresh Debian machine ready for `npm run demo` and `npm test`: Node check, Debian packages,
# npm packages. Runs as often as you like; it does only what is missing and says what it does.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

readonly NODE_FLOOR='20.19.0'
readonly POLICY='/usr/sbin/policy-rc.d'
readonly POLICY_SAVED='/usr/sbin/policy-rc.d.before-pxmgr'
readonly POLICY_MARK='# written by the pxmgr bootstrap for the time of one apt-get run'
readonly STAMP='node_modules/.pxmgr-bootstrap'
# "command package": a package is installed when its command is not found.
readonly NEEDS='
nats-server nats-server
skopeo skopeo
docker-registry docker-registry
htpasswd apache2-utils
openssl openssl
lxc-start lxc
systemd-nspawn systemd-container
curl curl
ip iproute2
xz xz-utils
zstd zstd
git git
make make
g++ g++
python3 python3'

export PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'bootstrap: %s\n' "$*"; }
fail() {
  printf 'bootstrap: error: %s\n' "$*" >&2
  exit 1
}

check_node() {
  command -v node >/dev/null || fail "Node.js $NODE_FLOOR or newer is needed and no 'node' is on the PATH"
  node -e '
    const [have, want] = [process.versions.node, process.argv[1]].map((text) => text.split(".").map(Number));
    const differs = have.findIndex((part, index) => part !== want[index]);
    process.exit(differs === -1 || have[differs] > want[differs] ? 0 : 1);
  ' "$NODE_FLOOR" || fail "Node.js $NODE_FLOOR or newer is needed, found $(node --version) at $(command -v node)"
}

# The folder whose include/node holds the headers of exactly the running major version, or nothing.
# better-sqlite3 is compiled against them, so that no download from outside the npm registry is tried.
find_headers() {
  local folder major
  major=$(node -p 'process.versions.modules')
  for folder in "${npm_config_nodedir:-}" "$(dirname "$(dirname "$(node -p 'process.execPath')")")" /usr /usr/local; do
    [ -n "$folder" ] || continue
    if grep -qsE "define NODE_MODULE_VERSION +$major\b" "$folder/include/node/node_version.h"; then
      printf '%s' "$folder"
      return
    fi
  done
}

missing_packages() {
  local command package
  while read -r command package; do
    [ -n "$command" ] || continue
    command -v "$command" >/dev/null || printf '%s ' "$package"
  done <<<"$NEEDS"
  # The demo puts this busybox into an image, where no library is: only the static build will do.
  dpkg-query -W -f '${db:Status-Abbrev}' busybox-static 2>/dev/null | grep -q '^ii' || printf 'busybox-static '
  if [ -z "$(find_headers)" ] && dpkg-query -S "$(readlink -f "$(command -v node)")" 2>/dev/null | grep -q '^nodejs:' &&
    apt-cache policy libnode-dev 2>/dev/null | grep -q "Candidate: $(node -p 'process.versions.node.split(".")[0]')\."; then
    printf 'libnode-dev '
  fi
}

# Packages must not start daemons here: while apt-get runs, the policy file says no to every start.
services_off() {
  services_back
  if [ -e "$POLICY" ]; then mv "$POLICY" "$POLICY_SAVED"; fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
  chmod 755 "$POLICY"
}

# Also mends what a killed earlier run left.
services_back() {
  if grep -qsF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
  if [ -e "$POLICY_SAVED" ] && [ ! -e "$POLICY" ]; then mv "$POLICY_SAVED" "$POLICY"; fi
}

apt() {
  local log
  log=$(mktemp)
  if ! DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "apt-get $* failed (its last lines are above)"
  fi
  rm -f "$log"
}

# The system copies are only tools for us: what we just brought in shall not run from the next boot on.
units_off() {
  local package unit units=''
  command -v systemctl >/dev/null || return 0
  for package in "$@"; do
    case "$package" in
      nats-server | docker-registry) units="$units $package.service" ;;
      lxc) units="$units lxc.service lxc-net.service lxc-monitord.service" ;;
    esac
  done
  for unit in $units; do
    systemctl disable --quiet "$unit" 2>/dev/null && say "disabled $unit (installed for its program only)"
  done
  return 0
}

install_packages() {
  local missing
  read -ra missing <<<"$(missing_packages)"
  if [ "${#missing[@]}" -eq 0 ]; then
    say 'Debian packages: all there'
    return
  fi
  command -v apt-get >/dev/null || fail "this machine has no apt-get; please install: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || fail "these Debian packages are missing and installing them needs root: apt-get install --no-install-recommends ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  trap services_back EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  services_off
  apt update
  apt install -y --no-install-recommends "${missing[@]}"
  services_back
  trap - EXIT INT TERM HUP
  units_off "${missing[@]}"
}

install_npm() {
  local want headers
  want="$(sha256sum <package-lock.json | cut -d' ' -f1) $(node -p '[process.platform, process.arch, process.versions.modules].join("-")')"
  if [ -d node_modules ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$want" ]; then
    say 'npm packages: all there'
    return
  fi
  headers=$(find_headers)
  if [ -n "$headers" ]; then
    say "installing npm packages (npm ci; SQLite is compiled against the headers in $headers/include/node, about a minute)"
    export npm_config_nodedir="$headers" npm_config_build_from_source=true JOBS=max
  else
    say "installing npm packages (npm ci; no Node headers found for $(node --version), so SQLite's installer fetches its own)"
  fi
  npm ci --no-audit --no-fund --loglevel=error
  printf '%s\n' "$want" >"$STAMP"
}

check_node
say "Node $(node --version)"
install_packages
install_npm
