# SPDX-License-Identifier: MIT
# What scripts/run and scripts/test share: messages, packages, builds. Sourced by them; they
# run under `set -euo pipefail`.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '%s\n' "$*"
}

# One clear line on standard error, and the end.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# missing_packages GROUP...: the names of scripts/packages.txt in these groups that Debian does
# not have installed here, one to a line.
missing_packages() {
    local group package
    while read -r group package; do
        [[ " $* " == *" $group "* ]] || continue
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            printf '%s\n' "$package"
    done < <(grep -v '^#' "$root/scripts/packages.txt") | sort -u
}

# install_packages GROUP...: installs what is missing. Says nothing where nothing is.
install_packages() {
    local missing as_root=() log
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "this is not Debian: assuming that what scripts/packages.txt names is installed"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null ||
            die "these packages are missing; install them as root: ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    log=$(mktemp)
    if ! apt_install "${missing[@]}" >"$log" 2>&1; then
        die "packages could not be installed: $(apt_reason "$log") (all that apt-get said: $log)"
    fi
    rm -f "$log"
}

# apt_reason LOG: the line of apt-get's that says most. A network that is not there shows first as
# packages that are not known.
apt_reason() {
    local reason
    reason=$(grep -m 1 -E '^[EW]: Failed to fetch' "$1" || grep -E '^E: ' "$1" || tail -n 1 "$1")
    printf '%s' "${reason%%$'\n'*}" | tr -s ' '
}

# Installs as told, with the package lists as they are or else refreshed. Services of new
# packages (redis-server) are not started: policy-rc.d is Debian's way to say so.
apt_install() (
    policy=/usr/sbin/policy-rc.d
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y
        -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 --no-install-recommends)
    if [[ ! -e $policy ]]; then
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy"
        "${as_root[@]}" chmod 755 "$policy"
    fi
    "${apt[@]}" install "$@" || {
        "${apt[@]}" update || true # one dead source of several need not matter
        "${apt[@]}" install "$@"
    }
)

# build_preset PRESET [TARGET...]: configures and builds quietly, in build/PRESET; shows the
# output where that fails.
build_preset() {
    local preset=$1 log="$root/build/$1/build.log" targets=()
    shift
    [[ $# -eq 0 ]] || targets=(--target "$@")
    mkdir -p "${log%/*}"
    if ! (cd "$root" && cmake --preset "$preset" &&
        cmake --build --preset "$preset" -j "$(nproc)" "${targets[@]}") >"$log" 2>&1; then
        grep -E -A 20 'error|FAILED|Error' "$log" | head -n 80 >&2 || tail -n 40 "$log" >&2
        return 1
    fi
}
