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

# Redis and Kamailio are needed as programs. That the machine serves them from now on nobody has asked for, so their
# services are neither started nor enabled, unless somebody else has already said what holds for services here.
services="redis-server kamailio"
policy=/usr/sbin/policy-rc.d
held=
hold_services() {
    [ -e $policy ] && return
    held=yes
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
}
undo_hold() {
    [ -z "$held" ] || rm -f $policy
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
    echo "Installing from Debian (this takes a minute or two): $missing"
    log=$(mktemp) || exit 1
    trap 'rm -f "$log"; undo_hold' EXIT
    trap 'exit 130' INT TERM
    hold_services
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >"$log" 2>&1 </dev/null &&
        apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=300 $missing >>"$log" 2>&1 </dev/null || {
        cause=$(grep -m 1 '^[WE]: ' "$log" || tail -n 1 "$log")
        echo "These Debian packages could not be installed (is there a network?): $missing" >&2
        echo "The first thing that apt-get complained of: $cause" >&2
        exit 1
    }
    [ -n "$held" ] && command -v systemctl >/dev/null || exit 0
    for unit in $services; do
        case " $missing " in *" $unit "*) systemctl -q disable $unit 2>/dev/null ;; esac
    done
    exit 0
    ;;
*)
    echo "usage: deploy/packages.sh install|list <purpose> …" >&2
    exit 2
    ;;
esac
