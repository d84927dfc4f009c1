#!/usr/bin/env bash
# Installs what the tests and benchmarks need from Debian's packages, when it is missing.
#
#   scripts/needs.sh [--check] GROUP...
#
# Groups: test (Redis, PostgreSQL, MariaDB, curl, strace, the usual CAs), valkey (Valkey, from the backports where the release
# itself has none), bench (redis-py, to compare with), lab (MariaDB), console (Chromium and its WebDriver).
# --check installs nothing: it names what is missing and exits with 1.
#
# Silent when all is there. Our tests start private servers on free ports, so the services that these
# packages bring are kept from starting: they would take the default ports and hide mistakes.
set -euo pipefail

say() { printf 'needs: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

have_command() { command -v "$1" >/dev/null 2>&1; }
# Debian keeps PostgreSQL's server programs out of PATH, one folder for each major version.
have_postgres() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || have_command postgres; }

# The server is in a folder that is not in a plain user's PATH.
have_mariadb() { [[ -x /usr/sbin/mariadbd ]] || have_command mariadbd; }
# Debian's Python, whatever else is first in PATH.
have_redis_py() { /usr/bin/python3 -c 'import redis.asyncio' 2>/dev/null; }

missing=()
need() { # need PACKAGE CHECK...
    local package=$1
    shift
    "$@" || missing+=("$package")
}

check_only=false
if [[ ${1:-} == --check ]]; then
    check_only=true
    shift
fi

for group in "${@:-test}"; do
    case $group in
    test)
        need redis-server have_command redis-server
        need postgresql have_postgres
        need mariadb-server have_mariadb
        need util-linux have_command setpriv
        need curl have_command curl
        need strace have_command strace
        need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
        ;;
    valkey) need valkey-server have_command valkey-server ;;
    bench) need python3-redis have_redis_py ;;
    lab) need mariadb-server have_mariadb ;;
    console)
        need chromium have_command chromium
        need chromium-driver have_command chromedriver
        ;;
    *) die "there is no group \"$group\" (test, valkey, bench, lab, console)" ;;
    esac
done

((${#missing[@]})) || exit 0
$check_only && die "missing: ${missing[*]}"

have_command apt-get || die "install by hand, this is no Debian: ${missing[*]}"
as_root=()
if ((EUID != 0)); then
    # -n: never wait at a password prompt that nobody sees.
    sudo -n true 2>/dev/null || die "not root, and sudo asks for a password. Run: sudo apt-get install ${missing[*]}"
    as_root=(sudo -n)
fi

# invoke-rc.d asks policy-rc.d before it starts a service; 101 means "forbidden". A policy that is
# already there belongs to somebody else, and then it is the one that is asked.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "${missing[@]}" </dev/null
}

# The backports of the release on the mirror that the machine already uses, beside its own lists, for this one install:
# nothing stays behind that would offer other packages from there later.
backports() {
    local codename mirror parts from
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$codename" '$1 == codename && $2 == "main" { print $3; exit }')
    [[ -n $codename && -n $mirror ]] || return 1
    parts=$(mktemp -d)
    chmod 755 "$parts"
    mkdir "$parts/lists"
    cp -r /etc/apt/sources.list /etc/apt/sources.list.d/. "$parts/" 2>/dev/null || true
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s-backports main\n' \
        "$mirror" "$codename" >"$parts/backports.list"
    from=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$parts" -o "Dir::State::lists=$parts/lists"
        -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=")
    "${as_root[@]}" apt-get "${from[@]}" update -q </dev/null &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${from[@]}" install -y -q --no-install-recommends \
            -o DPkg::Lock::Timeout=120 "${missing[@]}" </dev/null
    local done=$?
    "${as_root[@]}" rm -rf "$parts"
    return $done
}

log=$(mktemp)
say "installing ${missing[*]}"
# The package lists may be fresh already; they are fetched once, when the first try fails.
if ! install >"$log" 2>&1; then
    if ! { "${as_root[@]}" apt-get update -q </dev/null && { install || { [[ ${missing[*]} == valkey-server ]] && backports; }; }; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "could not install ${missing[*]}; the whole log is $log"
    fi
fi
rm -f "$log"

# Nor shall they start at the next boot of a machine with systemd: nobody but us asked for them.
if [[ -d /run/systemd/system ]]; then
    for package in "${missing[@]}"; do
        case $package in
        redis-server | valkey-server | postgresql) "${as_root[@]}" systemctl disable -q "$package" || true ;;
        mariadb-server) "${as_root[@]}" systemctl disable -q mariadb || true ;;
        esac
    done
fi
