#!/usr/bin/env bash
# Installs the chart for real, and does with it what an operator does. `make cluster-test` runs it in a cluster of its
# own. HELM_PROGRAMS are the Helms that it is done with, one after the other; CHECK_PARTS chooses from what is done.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
readonly here root chart=$root/helm/portcullis values=$root/tests/chart/values
# shellcheck source=tools/cluster/database.sh
. "$here/database.sh"

work=$(mktemp -d)
readonly work
trap 'rm -rf -- "$work"' EXIT

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

# Shows what the namespace says of itself, because the cluster is gone afterwards.
fail() {
    {
        printf 'FAILED: %s\n' "$@"
        [ ! -s "$work/output" ] || cat "$work/output"
        if [ -n "${namespace:-}" ]; then
            kubectl -n "$namespace" get pods,jobs,replicasets -o wide
            kubectl -n "$namespace" get events --sort-by .lastTimestamp | tail -n 15
            for pod in $(kubectl -n "$namespace" get pods -o name); do
                kubectl -n "$namespace" logs "$pod" --tail 8 --prefix
            done
        fi
    } >&2
    exit 1
}

# succeeds WHAT COMMAND...
succeeds() {
    local what=$1
    shift
    "$@" >"$work/output" 2>&1 || fail "$what: $*"
    say "$what"
}

# fails_with WORDS COMMAND... expects a failure that says these words.
fails_with() {
    local words=$1
    shift
    if "$@" >"$work/output" 2>&1; then fail "this should have been refused: $*"; fi
    grep -qF -- "$words" "$work/output" || fail "it was refused without the words \"$words\": $*"
}

# Every object of the namespace, Helm's own Secrets among them, without what Kubernetes puts there and without what is written about objects.
objects() {
    kubectl -n "$namespace" get "$kinds" -o name --ignore-not-found | grep -v \
        -e '^event' -e '^configmap/kube-root-ca.crt$' -e '^serviceaccount/default$' -e '^lease' || true
}

# begin_namespace NAME makes a namespace with what the operator brings: Secrets and the authorities.
begin_namespace() {
    namespace=$1
    kubectl create namespace "$namespace"
    kubectl label namespace "$namespace" pod-security.kubernetes.io/{enforce,warn}=restricted
    kubectl -n "$namespace" create secret generic portcullis-database --from-literal url="$(database_url "$namespace")"
    kubectl -n "$namespace" create secret generic wrong-password --from-literal url="$(database_url "$namespace" | sed 's/:secret@/:wrong@/')"
    # What Kubernetes puts into each namespace.
    timeout 60 bash -c "until kubectl -n '$namespace' get serviceaccount/default configmap/kube-root-ca.crt; do sleep 0.2; done" 2>&1
    objects >"$work/before"
} >/dev/null

# What values files name and the chart does not make. There is no cert-manager here: its Secret is made by hand, under
# the name that the chart gives it.
operator_brings() {
    local url
    url=$(database_url "$namespace")
    kubectl -n "$namespace" delete secret portcullis-database
    kubectl -n "$namespace" create secret generic portcullis-database --from-literal url="$url" \
        --from-literal dsn="${url/=require/=verify-full}"
    kubectl -n "$namespace" create secret generic portcullis-migrator --from-literal migrator-dsn="${url/=require/=verify-full}"
    kubectl -n "$namespace" create configmap database-authorities --from-file bundle.pem="$work/ca.crt"
    kubectl -n "$namespace" create secret generic client-authorities --from-file "$work/ca.crt"
    certificate server /CN=portcullis "DNS:portcullis.$namespace.svc"
    local secret
    for secret in portcullis-tls portcullis-server; do
        kubectl -n "$namespace" create secret generic $secret --type kubernetes.io/tls \
            --from-file tls.crt="$work/server.crt" --from-file tls.key="$work/server.key" --from-file "$work/ca.crt"
    done
    certificate client /CN=test "URI:spiffe://portal.example/ns/web/sa/test"
    kubectl -n "$namespace" create secret tls test-client --cert "$work/client.crt" --key "$work/client.key"
    kubectl create priorityclass portal-critical --value 1000 --dry-run=client -o yaml | kubectl apply -f -
}

# nothing_new WHEN waits for pods that take their time to end.
nothing_new() {
    local end=$((SECONDS + 90))
    until objects >"$work/after" && diff "$work/before" "$work/after" >"$work/output"; do
        [ "$SECONDS" -lt "$end" ] || fail "objects are there $1"
        sleep 0.5
    done
    say "nothing is left $1"
}

# To Helm, hooks are no part of a release: the pod of the last test stays for its log.
uninstall() {
    succeeds "uninstall" h uninstall portcullis --wait
    kubectl -n "$namespace" delete pod portcullis-test >/dev/null
}

# certificate NAME SUBJECT NAMES makes one that the tests' authority signed.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -CA "$work/ca.crt" -CAkey "$work/ca.key" \
        -subj "$2" -addext basicConstraints=critical,CA:FALSE -addext "subjectAltName=$3" \
        -keyout "$work/$1.key" -out "$work/$1.crt" 2>/dev/null
}

h() { "$helm" -n "$namespace" "$@"; }

postgres=(--set database.existingSecret=portcullis-database)

try_out() {
    begin_namespace "$1-memory"
    succeeds "install --wait, in memory" h install portcullis "$chart" --wait --timeout 2m --set store=memory
    works "in memory"
    uninstall
    nothing_new "after a try-out"
}

refusals() {
    begin_namespace "$1-refused"
    local words arguments
    while IFS='|' read -r words arguments; do
        # shellcheck disable=SC2086 # these are flags
        fails_with "$words" h install portcullis "$chart" --wait --timeout 30s $arguments
    done <<'EOT'
database.existingSecret is not set|
replicaCoun|--set store=memory --set replicaCoun=1
replicaCount|--set store=memory --set replicaCount=two
store|--set store=redis
serviceMonitor|--set store=memory --set serviceMonitor.enabled=maybe
callers is empty|--set store=memory --set auth.mode=mtls --set tls.existingSecret=portcullis-server
maxUnavailable|--set database.existingSecret=portcullis-database --set podDisruptionBudget.maxUnavailable=1q
settings|--set store=memory --set settings.maxStale=5minutes
EOT
    nothing_new "after refused values"
}

wrong_password() {
    begin_namespace "$1-wrong"
    local all_or_nothing=--atomic start=$SECONDS
    [ "$1" = helm3 ] || all_or_nothing=--rollback-on-failure
    fails_with "failed" h install portcullis "$chart" "$all_or_nothing" --timeout 3m \
        --set database.existingSecret=wrong-password --set migration.timeout=20s --set migration.backoffLimit=1
    say "a wrong password ends the install after $((SECONDS - start)) s"
    kubectl -n "$namespace" logs job/portcullis-migrate >"$work/output" 2>&1 || true
    grep -q "password" "$work/output" || fail "the migration does not say that the password is wrong"
    sed 's/^/       /' "$work/output" | tail -n 1
    # The Job stays for its log until its time is over, or the next install; everything else is gone.
    kubectl -n "$namespace" delete job portcullis-migrate >/dev/null
    nothing_new "after a wrong password, but the Job of the migration"
}

# works WHEN runs the test of the release. It takes a refusal for an answer, and this does not: the account that is asked
# about is not there, and only who may ask is told so.
works() {
    # Where TLS is switched on or off, one of before would not understand. Helm 3 waits until the new ones are ready, and
    # not for minReadySeconds more, after which the old ones go.
    kubectl -n "$namespace" rollout status deployment/portcullis --timeout 2m >/dev/null || fail "the rollout does not end"
    old_pods_gone
    succeeds "test $1" h test portcullis --logs --timeout 2m
    grep -qE '^check +(allow|NOT_FOUND)' "$work/output" || fail "the test's call was refused $1"
}

# A program that is newer than the schema waits for the migration, and the migration does not wait for it.
behind() {
    begin_namespace "$1-behind"
    old_schema "$namespace"
    succeeds "install over an old schema, without the migration" h install portcullis "$chart" "${postgres[@]}" --set migration.enabled=false
    fails_with "timed out" kubectl -n "$namespace" rollout status deployment/portcullis --timeout 15s
    succeeds "upgrade --wait, with the migration" h upgrade portcullis "$chart" --wait --timeout 4m "${postgres[@]}"
    [ "$(schema_version "$namespace")" = 2 ] || fail "the schema is not up to date"
    succeeds "uninstall" h uninstall portcullis
}

life() {
    begin_namespace "$1"
    operator_brings >/dev/null
    objects >"$work/before"
    succeeds "install --wait" h install portcullis "$chart" --wait --timeout 4m "${postgres[@]}"
    "$CLUSTER_PORTCULLIS" import --database-url "$(database_url "$namespace" | sed "s/database.data.svc/$CLUSTER_MASTER/")" \
        "$root/demo/demo.yaml" >"$work/output" 2>&1 || fail "the demo data is not taken"
    works "after the install"
    succeeds "upgrade --wait with everything on" h upgrade portcullis "$chart" --wait --timeout 4m -f "$values/everything.yaml"
    works "with everything on"
    succeeds "upgrade --wait to tokens of the cluster" h upgrade portcullis "$chart" --wait --timeout 4m -f "$values/jwt.yaml"
    works "with tokens of the cluster"
    succeeds "upgrade without --wait" h upgrade portcullis "$chart" "${postgres[@]}"
    succeeds "it is rolled out" kubectl -n "$namespace" rollout status deployment/portcullis --timeout 3m
    # The last pods before spoke TLS, and the calls that follow do not.
    old_pods_gone
    under_load "a restart" kubectl -n "$namespace" rollout restart deployment/portcullis
    under_load "an upgrade" h upgrade portcullis "$chart" "${postgres[@]}" --set settings.log=debug
    under_load "an upgrade to an image that is not there, and a rollback" broken_upgrade
    succeeds "rollback --wait to everything on" h rollback portcullis 2 --wait --timeout 4m
    works "after the rollback"
    uninstall
    nothing_new "after an uninstall"
}

# Without the migration, which would be the first to miss its image.
broken_upgrade() {
    if h upgrade portcullis "$chart" --wait --timeout 15s "${postgres[@]}" \
        --set image.repository=nowhere --set migration.enabled=false; then return 1; fi
    h rollback portcullis --wait --timeout 2m
}

# A rollout is over when its last old pod begins to end, and for a moment a Service's address may still lead to that one.
old_pods_gone() {
    local end=$((SECONDS + 90))
    until [ -z "$(kubectl -n "$namespace" get pods -o jsonpath='{.items[*].metadata.deletionTimestamp}')" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "old pods do not end"
        sleep 0.5
    done
}

# under_load WHAT COMMAND... runs a command that replaces all pods, while calls go on.
under_load() {
    local what=$1 calls
    shift
    "$CLUSTER_FOLDER/node" load --target "portcullis.$namespace.svc.cluster.local:50051" \
        --dns "$CLUSTER_MASTER:53" --account northwind-games >"$work/load" 2>&1 &
    calls=$!
    sleep 2
    "$@" >"$work/output" 2>&1 || fail "$what: $*"
    kubectl -n "$namespace" rollout status deployment/portcullis --timeout 3m >"$work/output" 2>&1 || fail "$what: it did not end"
    old_pods_gone
    kill -TERM "$calls"
    if ! wait "$calls"; then
        cp -- "$work/load" "$work/output"
        fail "calls failed during a $what"
    fi
    say "$what under load: $(tail -n 1 "$work/load")"
}

# Each values file of the chart's tests is taken by the API server as it is, and without a warning.
dry_runs() {
    begin_namespace "$1-dry"
    # A pod is not taken before its service account is there, and what is only tried is not.
    kubectl -n "$namespace" create serviceaccount portcullis-test >/dev/null
    local file
    for file in "$values"/*.yaml; do
        h template portcullis "$chart" -f "$file" >"$work/objects.yaml"
        kubectl -n "$namespace" apply --server-side --dry-run=server --warnings-as-errors -f "$work/objects.yaml" >"$work/output" 2>&1 ||
            fail "the API server does not take ${file##*/}"
    done
    say "the API server takes the objects of all values files"
}

kinds=$(kubectl api-resources --verbs list --namespaced -o name | grep -v -e '^events' -e '^endpoints$' | paste -sd ,)
readonly kinds
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority \
    -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
start_database

for helm in ${HELM_PROGRAMS:?the programs to install with}; do
    name=helm$("$helm" version --template '{{.Version}}' | sed 's/^v\([0-9]*\).*/\1/')
    say "--- $("$helm" version --short), Kubernetes $(kubectl version -o json | sed -n 's/.*"gitVersion": "v\(.*\)".*/\1/p' | tail -n 1)"
    for part in ${CHECK_PARTS:-dry_runs refusals try_out wrong_password behind life}; do
        "$part" "$name"
    done
done
say "all of it passed"
