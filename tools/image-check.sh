#!/usr/bin/env bash
# Runs the program that the image ships as the image would, where there is no container engine: built from what .dockerignore
# lets in, in a root that holds what the image holds and cannot be written, as 65532, in namespaces of its own.
#
# Needs root, and Debian: the libraries are those of this machine, which are those of the image where it is the same
# release as the Dockerfile's first line says.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() { printf 'image: %s\n' "$*"; }
fail() {
    printf 'image: %s\n' "$*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "a root of one's own takes root"
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
context=$target/image/context
root=$target/image/root
log=$target/image/serve.log

# Both are made anew; the times of files are kept, so that Cargo sees what has changed.
rm -rf -- "$context" "$root"
mkdir -p -- "$context"
mapfile -t allowed < <(sed -n 's/^!//p' .dockerignore)
git ls-files -z --cached --others --exclude-standard -- "${allowed[@]}" | tar --create --null --files-from=- |
    tar --extract --directory="$context"
say "building from $(find "$context" -type f | wc -l) files"
profile=$(sed -n 's/^ENV \(CARGO_PROFILE_RELEASE_STRIP=.*\)$/\1/p' Dockerfile)
[ -n "$profile" ] || fail "the Dockerfile does not say how it builds"
(cd -- "$context" && env "$profile" CARGO_TARGET_DIR="$target" cargo build --release --locked --bin portcullis)
(cd -- "$context" && SOURCE_DATE_EPOCH=0 tools/image-root.sh "$target/release/portcullis" "$root")
find "$root" -type f -printf 'image: %10s  /%P\n' | sort -k 3
say "$(du --apparent-size -sk "$root" | cut -f 1) KiB in all"

# What a container engine mounts.
mkdir -- "$root/proc" "$root/dev"
: >"$root/dev/null"

# A mount, network and process namespace: nothing is left when it ends, and no port of this machine is taken.
inside() {
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount --bind /dev/null "$root/dev/null"
    mount -t proc proc "$root/proc"
    mount -o remount,bind,ro "$root"
    ip link set lo up
    local chroot
    chroot=$(command -v chroot)
    portcullis() { env -i "$chroot" --userspec=65532:65532 "$root" /portcullis "$@"; }

    if touch "$root/written" 2>/dev/null; then fail "the root can be written"; fi
    env -i "$chroot" --userspec=65532:65532 "$root" /portcullis serve >"$log" 2>&1 &
    local server=$! waited=0
    until portcullis healthcheck >/dev/null 2>&1; do
        kill -0 "$server" 2>/dev/null || fail "it ended: $(tail -n 3 "$log")"
        [ $((waited += 1)) -lt 100 ] || fail "not ready after 10 s: $(tail -n 3 "$log")"
        sleep 0.1
    done
    say "serve: $(portcullis healthcheck), as $(awk '/^Uid:|^Gid:/ { printf "%s %s ", $1, $2 }' "/proc/$server/status")with $(awk '/^VmRSS:/ { print $2 " KiB" }' "/proc/$server/status")"
    [ "$(awk '/^Uid:/ { print $2 }' "/proc/$server/status")" = 65532 ] || fail "not as 65532"
    local status=0
    say "check: $(portcullis check northwind-games pricing.view)" || fail "no allow"
    portcullis check northwind-retail pricing.view >/dev/null || status=$?
    [ "$status" -eq 1 ] || fail "a denial exits with $status"
    say "check: a denial exits with 1"
    # Nobody answers there: to come as far as that it has read the authorities of the image.
    local told
    told=$(portcullis migrate --database-url 'postgres://nobody@127.0.0.1:1/none?sslmode=verify-full' 2>&1) && fail "migrated what is not there"
    case $told in
        *refused*) say "authorities: read, and then: $(tail -n 1 <<<"$told")" ;;
        *) fail "sslmode=verify-full: $told" ;;
    esac
    kill -TERM "$server"
    status=0
    wait "$server" || status=$?
    [ "$status" -eq 0 ] || fail "a drain exits with $status"
    say "drained: exits with 0"
    status=0
    portcullis healthcheck >/dev/null 2>&1 || status=$?
    [ "$status" -eq 2 ] || fail "healthcheck of nobody exits with $status"
}
export -f inside say fail
export root log
unshare --mount --net --pid --mount-proc --fork --kill-child bash -euo pipefail -c inside
say "all as it should be"
