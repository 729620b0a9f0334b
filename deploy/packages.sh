#!/bin/sh
# deploy/packages.sh install <purpose> … : installs what is missing of the Debian packages listed for those purposes.
# deploy/packages.sh list <purpose> …    : prints their names. The list is deploy/debian-packages.txt.
set -u
list=$(dirname "$0")/debian-packages.txt
verb=${1:-}
[ $# -gt 0 ] && shift

names() {
    for purpose in "$@"; do
        sed -n "s/^$purpose: *//p" "$list"
    done | tr ' ' '\n' | sort -u
}

case $verb in
list) names "$@" ;;
install)
    missing=$(for name in $(names "$@"); do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q ' installed$' || echo "$name"
    done)
    [ -n "$missing" ] || exit 0
    missing=$(echo $missing)
    if [ "$(id -u)" -ne 0 ]; then
        echo "These Debian packages are missing; install them as root: apt-get install $missing" >&2
        exit 1
    fi
    echo "Installing from Debian: $missing"
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get -q update && apt-get -q install -y --no-install-recommends $missing; } >/tmp/rollcall-apt.$$ 2>&1; then
        tail -n 5 /tmp/rollcall-apt.$$ >&2
        rm -f /tmp/rollcall-apt.$$
        echo "Could not install from Debian's packages (no network?). Missing: $missing" >&2
        exit 1
    fi
    rm -f /tmp/rollcall-apt.$$
    ;;
*)
    echo "usage: deploy/packages.sh install|list <purpose> …" >&2
    exit 2
    ;;
esac
