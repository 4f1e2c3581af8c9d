#!/usr/bin/env bash
# Makes ready what tools/cluster/with.sh runs: Kubernetes, its store, the CRDs of two operators, and nft.
# What is there already is left as it is. The versions are those of tools/cluster/go.mod; the folder's name has them.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly KUBERNETES_VERSION=1.37.2 ETCD_VERSION=3.7.0
readonly PROMETHEUS_OPERATOR_VERSION=0.85.0 CERT_MANAGER_VERSION=1.21.2
readonly NEEDS_GO=1.26.0

say() { printf 'cluster: %s\n' "$1"; }

fail() {
    printf 'cluster: %s\n' "$@" >&2
    exit 1
}

usage() {
    cat <<'EOT'
usage: tools/cluster/prepare.sh
       tools/cluster/prepare.sh path
       tools/cluster/prepare.sh node FILE

Without arguments, makes ready what the cluster runs. `path` prints the folder where it is kept. `node` builds the node,
which is this project's own, and so is built each time.

environment:
  PORTCULLIS_TOOLS   where tools are kept (default: ${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/tools)
EOT
}

tools=${PORTCULLIS_TOOLS:-${XDG_CACHE_HOME:-${HOME:?set PORTCULLIS_TOOLS to a folder for programs}/.cache}/portcullis/tools}
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac
readonly place=$tools/cluster-kubernetes$KUBERNETES_VERSION-etcd$ETCD_VERSION-crds$PROMETHEUS_OPERATOR_VERSION-$CERT_MANAGER_VERSION

# module_folder MODULE@VERSION downloads a module for the files in it.
module_folder() {
    go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'
}

# build PACKAGE FILE
build() {
    local k=k8s.io/component-base/version c=k8s.io/client-go/pkg/version flags=-s\ -w variable
    for variable in $k $c; do
        flags+=" -X $variable.gitVersion=v$KUBERNETES_VERSION -X $variable.gitMajor=${KUBERNETES_VERSION%%.*}"
        flags+=" -X $variable.gitMinor=$(cut -d . -f 2 <<<"$KUBERNETES_VERSION")"
    done
    (cd -- "$here" && nice go build -trimpath -ldflags "$flags" -o "$2" "$1")
}

download_crds() {
    local prometheus certificates
    prometheus=$(module_folder "github.com/prometheus-operator/prometheus-operator@v$PROMETHEUS_OPERATOR_VERSION")
    certificates=$(module_folder "github.com/cert-manager/cert-manager@v$CERT_MANAGER_VERSION")
    mkdir -- "$staging/crds"
    install -m 644 -- "$prometheus"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml \
        "$certificates"/deploy/crds/cert-manager.io_{certificates,issuers}.yaml "$staging/crds"
}

# kube-proxy calls nft. Debian's packages are unpacked and not installed.
unpack_nft() {
    if command -v nft >/dev/null; then
        ln -s -- "$(command -v nft)" "$staging/nft"
        return
    fi
    command -v apt-get >/dev/null || fail "there is no nft command on the PATH: install nftables"
    say "unpacking nftables from Debian's packages"
    mkdir -- "$staging/debian"
    (
        cd -- "$staging/debian"
        apt-get -q -o APT::Sandbox::User=root download \
            nftables libnftables1 libnftnl11 libmnl0 libjansson4 libgmp10 libedit2 libbsd0 libmd0 libtinfo6 libxtables12
        for package in *.deb; do dpkg -x "$package" .; done
        rm -- *.deb
    ) >/dev/null || fail "nft is neither on the PATH nor to be had from Debian's packages: apt-get update && apt-get install nftables"
    cat >"$staging/nft" <<'EOT'
#!/bin/sh
here=$(dirname -- "$(readlink -f -- "$0")")/debian
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu):$(echo "$here"/lib/*-linux-gnu) exec "$here/usr/sbin/nft" "$@"
EOT
    chmod 755 -- "$staging/nft"
    "$staging/nft" --version >/dev/null || fail "nft does not run as it was unpacked: apt-get install nftables"
}

case ${1:-} in
    "" | node) ;;
    path) printf '%s\n' "$place" && exit ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
esac

export GOTOOLCHAIN=local CGO_ENABLED=0
found=$(go env GOVERSION 2>/dev/null) || found=
if [ -z "$found" ] || [ "$(printf '%s\n' "go$NEEDS_GO" "$found" | sort -V | head -n 1)" != "go$NEEDS_GO" ]; then
    fail "Go $NEEDS_GO or newer is needed, and ${found:-no go command} is on the PATH"
fi

if [ "${1:-}" = node ]; then
    build ./node "$2"
    exit
fi

if [ ! -d "$place" ]; then
    say "building Kubernetes $KUBERNETES_VERSION, once: 15 minutes to an hour"
    mkdir -p -- "$tools"
    staging=$(mktemp -d -- "$tools/.staging.XXXXXX")
    trap 'rm -rf -- "$staging"' EXIT
    chmod 755 -- "$staging"
    unpack_nft
    download_crds
    build go.etcd.io/etcd/server/v3 "$staging/etcd"
    for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubectl; do
        say "building $program"
        build "k8s.io/kubernetes/cmd/$program" "$staging/$program"
    done
    # Whoever finds the folder finds all of it.
    mv -T -- "$staging" "$place"
fi
say "Kubernetes $KUBERNETES_VERSION, at $place"
