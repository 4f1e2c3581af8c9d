#!/usr/bin/env bash
# Puts together what the image holds: the program, the libraries that it is linked to, the authorities of TLS, and who
# runs it. The Dockerfile does so in the image that it builds in, and `make image-check` on this machine.
#
# usage: tools/image-root.sh PROGRAM FOLDER
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: tools/image-root.sh PROGRAM FOLDER" >&2
    exit 2
fi
program=$1
root=$2
# Whose files are in the image, besides the program.
readonly PACKAGES=(ca-certificates libc6 libgcc-s1)

[ ! -e "$root" ] || { echo "image-root: $root is there already" >&2; exit 1; }
install -D -m 0755 -- "$program" "$root/portcullis"

# The loader and each library, at the path by which it is looked for.
libraries=$(ldd "$program" | grep -o '/[^ ]*')
for library in $libraries; do
    install -D -m 0755 -- "$(readlink -f -- "$library")" "$root$library"
done

# For sslmode=verify-full in the database's URL, keys of tokens over https, and traces.
install -D -m 0644 -- /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

install -d -- "$root/etc"
printf 'root:x:0:0:root:/:/nologin\nportcullis:x:65532:65532:portcullis:/:/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nportcullis:x:65532:\n' >"$root/etc/group"
# Names are looked up in /etc/hosts, which a container is given, and then asked for.
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

# What scanners read to know which versions are in it, and the licences that have to be with them.
for package in "${PACKAGES[@]}"; do
    install -d -- "$root/var/lib/dpkg/status.d"
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
    install -D -m 0644 -- "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done
cp --recursive --dereference -- /usr/share/common-licenses "$root/usr/share/common-licenses"
install -D -m 0644 -- LICENSE "$root/usr/share/doc/portcullis/copyright"

# Readable by all, writable by none but root, and of one time.
chmod -R u=rwX,go=rX -- "$root"
find "$root" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" -- {} +
