#!/usr/bin/env bash
# Writes what the program is made of as a CycloneDX file, and checks that nothing is missing from it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'sbom: %s\n' "$1" >&2
    exit 1
}

is_json() {
    if command -v jq >/dev/null; then
        jq -e '.bomFormat == "CycloneDX"' "$1" >/dev/null
    elif command -v python3 >/dev/null; then
        python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["bomFormat"] != "CycloneDX")' "$1"
    else
        fail "neither jq nor python3 is on the PATH: one of them reads the file again"
    fi
}

readonly name=portcullis.cdx
readonly place=${CARGO_TARGET_DIR:-target}/$name.json
program=$(tools/prepare.sh path cargo-cyclonedx)

# It writes beside each Cargo.toml of the workspace; the program's is the one that is wanted.
trap 'rm -f -- "$name.json" "benches/$name.json" "fuzz/$name.json"' EXIT
"$program" cyclonedx --quiet --format json --spec-version 1.5 --target all --override-filename "$name"
is_json "$name.json" || fail "$name.json is no CycloneDX"

# Of a build on this machine: what runs and what builds it. Tests' dependencies are not delivered.
missing=0 crates=0
while read -r crate version _; do
    crates=$((crates + 1))
    id="pkg:cargo/$crate@${version#v}"
    if ! grep -qF -e "$id\"" -e "$id?" "$name.json"; then
        printf 'sbom: %s %s is missing\n' "$crate" "$version" >&2
        missing=$((missing + 1))
    fi
done < <(cargo tree --locked --package portcullis --edges normal,build --prefix none | sort -u)
[ "$crates" -gt 1 ] || fail "cargo tree names no crate"
[ "$missing" -eq 0 ] || fail "$missing of $crates crates are missing"

mkdir -p -- "${place%/*}"
mv -f -- "$name.json" "$place"
printf 'sbom: all %s crates of a build, in %s\n' "$crates" "$place"
