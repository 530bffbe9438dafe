# packaging/common.sh: what packaging/*/build share. Sourced after `here` and `name` (for messages) are set.
#
# Sets root, out, from, version, SOURCE_DATE_EPOCH. The same source makes the same bytes: times are SOURCE_DATE_EPOCH
# (default: the date of deb/changelog), order, owners and modes are fixed, and source paths are cut from the program.
# shellcheck shell=sh disable=SC2034,SC2154
umask 022
export LC_ALL=C TZ=UTC
root=$(CDPATH='' cd -- "$here/../.." && pwd)

die() {
    printf '%s: %s\n' "$name" "$*" >&2
    exit 1
}

# options DEFAULT-OUT [--out DIR] [--from BUILD-DIR]
options() {
    out=$1
    from=
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --out | --from)
            [ $# -ge 2 ] || die "$1 needs a directory"
            if [ "$1" = --out ]; then out=$2; else from=$2; fi
            shift 2
            ;;
        *) die "unknown option $1; see the head of $name" ;;
        esac
    done
    [ -z "$from" ] || from=$(CDPATH='' cd -- "$from" && pwd)
    mkdir -p "$out"
    out=$(CDPATH='' cd -- "$out" && pwd)
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "$tool is missing: apt install dpkg-dev binutils cmake ninja-build"
    done
}

upstream_version() { sed -n 's/^project(smesher VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt"; }

changelog_field() { dpkg-parsechangelog -l "$root/packaging/deb/changelog" -S "$1"; }

# compile: sets `from` to a finished build with Debian's flags, unless --from named one.
compile() {
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(changelog_field Timestamp)}
    export SOURCE_DATE_EPOCH
    [ -z "$from" ] || return 0
    from=$root/build/packages
    log=$from.log
    export DEB_BUILD_MAINT_OPTIONS=hardening=+all DEB_CFLAGS_MAINT_APPEND="-ffile-prefix-map=$from=/build"
    cd "$root" # dpkg-buildflags maps the current directory to "."
    mkdir -p "$from"
    { cmake -S "$root" -B "$from" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr \
        -DSM_TESTS=OFF -DSM_BENCH=OFF -DSM_WERROR=OFF -DSM_SANITIZE= -DSM_FOLDERS=all \
        -DCMAKE_C_FLAGS="$(dpkg-buildflags --get CPPFLAGS) $(dpkg-buildflags --get CFLAGS)" \
        -DCMAKE_EXE_LINKER_FLAGS="$(dpkg-buildflags --get LDFLAGS)" \
        -DCMAKE_SHARED_LINKER_FLAGS="$(dpkg-buildflags --get LDFLAGS)" &&
        ninja -C "$from" ${SM_JOBS:+-j "$SM_JOBS"}; } >"$log" 2>&1 || {
        cat "$log" >&2
        die "the build failed"
    }
}

# install_into TREE: one installation below /usr and /etc, as on the machine.
install_into() {
    DESTDIR=$1 cmake --install "$from" --prefix /usr >/dev/null || die "cmake --install failed"
}

# finish TREE: modes and times that do not depend on this machine.
finish() {
    find "$1" -type d -exec chmod 0755 {} +
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}
