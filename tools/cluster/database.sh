# shellcheck shell=bash disable=SC2154 # `work` and `root` are those of check.sh, which reads this file.
# A Postgres server for the chart's pods, reached by the name of a Service without pods of its own.

# Postgres refuses to run as root.
pg() { setpriv --reuid postgres --regid postgres --init-groups -- env -C / "$PORTCULLIS_TEST_PG_BIN/$1" "${@:2}"; }

start_database() {
    local data=$work/postgres
    chmod 755 -- "$work"
    install -d -o postgres -g postgres -m 700 -- "$data"
    pg initdb --pgdata "$data" --username postgres --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C --no-sync >/dev/null
    certificate database /CN=database DNS:database.data.svc
    install -o postgres -g postgres -m 600 -- "$work/database.key" "$work/database.crt" "$data"
    echo "hostssl all all 10.88.0.0/16 scram-sha-256" >>"$data/pg_hba.conf"
    pg pg_ctl start --pgdata "$data" --log "$data/log" --wait --silent --options \
        "-c listen_addresses=$CLUSTER_MASTER -c unix_socket_directories=$data -c fsync=off -c ssl=on -c ssl_cert_file=database.crt -c ssl_key_file=database.key"
    kubectl create namespace data >/dev/null
    kubectl -n data create -f - >/dev/null <<EOT
apiVersion: v1
kind: Service
metadata: { name: database }
spec: { ports: [{ port: 5432 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: database, labels: { kubernetes.io/service-name: database } }
addressType: IPv4
ports: [{ port: 5432 }]
endpoints: [{ addresses: ["$CLUSTER_MASTER"] }]
EOT
}

sql() { pg psql --host "$work/postgres" --username postgres --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"; }

# database_url NAME makes a database, and a role that owns it, if it is not there; and prints its address.
database_url() {
    if [ -z "$(sql --command "SELECT 1 FROM pg_roles WHERE rolname = '$1'")" ]; then
        sql --command "CREATE ROLE \"$1\" LOGIN PASSWORD 'secret'" --command "CREATE DATABASE \"$1\" OWNER \"$1\"" >/dev/null
    fi
    printf 'postgres://%s:secret@database.data.svc:5432/%s?sslmode=require' "$1" "$1"
}

schema_version() { sql --dbname "$1" --command "SELECT max(version) FROM schema_migration"; }

# old_schema NAME makes the schema as it was at version 1.
old_schema() {
    {
        echo "SET ROLE \"$1\";"
        echo "CREATE TABLE schema_migration (version integer NOT NULL CONSTRAINT schema_migration_pkey PRIMARY KEY,"
        echo "    name text NOT NULL, compatible_from integer NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());"
        cat "$root/src/store/postgres/migrations/0001_policies.sql"
        echo ";INSERT INTO schema_migration (version, name, compatible_from) VALUES (1, 'policies', 1);"
    } | sql --dbname "$1" --single-transaction >/dev/null
    [ "$(schema_version "$1")" = 1 ]
}
