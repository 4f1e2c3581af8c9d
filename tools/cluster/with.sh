#!/usr/bin/env bash
# Runs a command with a Kubernetes cluster of its own, which is gone when the command ends:
#
#     tools/cluster/with.sh COMMAND ARGUMENT...
#
# The cluster is in a network, a process and a mount namespace of its own. So nothing of it can be reached from
# elsewhere, two of them do not meet, and no process or mount outlives it, however it ends.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly here

fail() {
    printf 'cluster: %s\n' "$@" >&2
    exit 1
}

[ $# -gt 0 ] || fail "usage: tools/cluster/with.sh COMMAND..."
if [ -z "${CLUSTER_FOLDER:-}" ]; then
    [ "$(id -u)" -eq 0 ] || fail "namespaces with a network of pods take root"
    for tool in unshare ip nsenter openssl; do
        command -v "$tool" >/dev/null || fail "there is no $tool command on the PATH: apt-get install util-linux iproute2 openssl"
    done
    programs=$("$here/prepare.sh" path)
    [ -d "$programs" ] || fail "not there yet: run tools/cluster/prepare.sh first"
    : "${CLUSTER_PORTCULLIS:?the program that is the image, portcullis}"
    CLUSTER_FOLDER=$(mktemp -d /tmp/portcullis-cluster.XXXXXX)
    chmod 755 -- "$CLUSTER_FOLDER"
    trap 'rm -rf -- "$CLUSTER_FOLDER"' EXIT
    "$here/prepare.sh" node "$CLUSTER_FOLDER/node"
    # Ends the whole cluster with the command, for it is process 1 of its namespace.
    status=0
    env CLUSTER_FOLDER="$CLUSTER_FOLDER" PATH="$programs:$PATH" CLUSTER_CRDS="$programs/crds" \
        unshare --net --mount --pid --ipc --fork --kill-child --mount-proc --propagation private -- "$0" "$@" || status=$?
    exit "$status"
fi

readonly folder=$CLUSTER_FOLDER
# The machine's own address in the cluster, where the API server, the name server and the database are, and that of the
# second node; the Services' addresses; the pods'.
readonly MASTER=10.88.0.1 SECOND=10.88.0.2 SERVICES=10.96.0.0/24,fd00:96::/112 PODS=10.88.0.0/16
export CLUSTER_MASTER=$MASTER

network() {
    mount -t tmpfs run /run
    mount -t tmpfs log /var/log
    mkdir -p /run/netns
    ip link set lo up
    ip link add cluster type bridge
    ip link set cluster up
    ip address add "$MASTER/32" dev cluster
    ip address add "$SECOND/32" dev cluster
    # An address of a Service is rewritten on its way out, and only what has a way gets so far.
    ip route add default dev cluster
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

# certificate FILE SUBJECT [NAMES]
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -CA "$folder/pki/ca.crt" -CAkey "$folder/pki/ca.key" -subj "$2" \
        -addext "basicConstraints=critical,CA:FALSE" ${3:+-addext "subjectAltName=$3"} \
        -keyout "$folder/pki/$1.key" -out "$folder/pki/$1.crt" 2>/dev/null
}

# kubeconfig NAME SUBJECT
kubeconfig() {
    certificate "$1" "$2"
    local file=$folder/$1.conf
    kubectl --kubeconfig "$file" config set-cluster local --server "https://$MASTER:6443" --certificate-authority "$folder/pki/ca.crt"
    kubectl --kubeconfig "$file" config set-credentials me --client-certificate "$folder/pki/$1.crt" --client-key "$folder/pki/$1.key"
    kubectl --kubeconfig "$file" config set-context local --cluster local --user me
    kubectl --kubeconfig "$file" config use-context local
}

identities() {
    mkdir -- "$folder/pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=cluster" \
        -keyout "$folder/pki/ca.key" -out "$folder/pki/ca.crt" 2>/dev/null
    openssl genrsa -out "$folder/pki/accounts.key" 2048 2>/dev/null
    certificate apiserver /CN=kube-apiserver \
        "DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:$MASTER,IP:10.96.0.1"
    kubeconfig admin /O=system:masters/CN=admin
    kubeconfig kube-controller-manager /CN=system:kube-controller-manager
    kubeconfig kube-scheduler /CN=system:kube-scheduler
    kubeconfig kube-proxy /CN=system:kube-proxy
    kubeconfig node-a /O=system:nodes/CN=system:node:node-a
    kubeconfig node-b /O=system:nodes/CN=system:node:node-b
}

# start NAME COMMAND... with its output in a file, which is what is shown when the cluster does not come up.
start() {
    local name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 </dev/null &
}

# await SECONDS WHAT COMMAND...
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            tail -n 3 "$folder"/*.log >&2
            fail "this did not come about: $what"
        fi
        sleep 0.2
    done
}

control_plane() {
    start etcd etcd --data-dir "$folder/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
    start kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
        --bind-address "$MASTER" --advertise-address "$MASTER" --service-cluster-ip-range "$SERVICES" \
        --tls-cert-file "$folder/pki/apiserver.crt" --tls-private-key-file "$folder/pki/apiserver.key" \
        --client-ca-file "$folder/pki/ca.crt" --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
        --kubelet-client-certificate "$folder/pki/admin.crt" --kubelet-client-key "$folder/pki/admin.key" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$folder/pki/accounts.key" --service-account-signing-key-file "$folder/pki/accounts.key"
    await 120 "the API server is ready" kubectl get --raw /readyz
    start kube-controller-manager kube-controller-manager --kubeconfig "$folder/kube-controller-manager.conf" \
        --leader-elect=false --use-service-account-credentials --root-ca-file "$folder/pki/ca.crt" \
        --service-account-private-key-file "$folder/pki/accounts.key"
    start kube-scheduler kube-scheduler --kubeconfig "$folder/kube-scheduler.conf" --leader-elect=false
    start kube-proxy kube-proxy --kubeconfig "$folder/kube-proxy.conf" --proxy-mode nftables --cluster-cidr "$PODS" \
        --hostname-override node-a --bind-address "$MASTER" --conntrack-max-per-core 0
}

# node NAME ADDRESS PODS
node() {
    mkdir -- "$folder/$1"
    start "$1" "$folder/node" run --name "$1" --zone "zone-${1#node-}" --address "$2" --pods "$3" \
        --kubeconfig "$folder/$1.conf" --dns "$MASTER" --root "$folder/$1" --image "portcullis=$CLUSTER_PORTCULLIS"
}

network
identities >/dev/null
export KUBECONFIG=$folder/admin.conf
control_plane
node node-a "$MASTER" 10.88.1
node node-b "$SECOND" 10.88.2
start dns "$folder/node" dns --listen "$MASTER:53" --kubeconfig "$KUBECONFIG"
kubectl apply --server-side -f "$CLUSTER_CRDS" >/dev/null
await 120 "two nodes are ready" kubectl wait --for condition=Ready node/node-a node/node-b --timeout 1s

status=0
"$@" || status=$?
if [ "$status" -ne 0 ] && [ -n "${CLUSTER_LOGS:-}" ]; then cp -- "$folder"/*.log "$CLUSTER_LOGS"; fi
exit "$status"
