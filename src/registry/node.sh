# What follows is the same in every such script: how a file is changed, and taken back.
set -eu

prefix='' only='' act=apply restart=yes failed='' restarts=''

usage() {
    cat <<'END'
usage: sh cove-node.sh [--dry-run | --undo] [--only RUNTIMES] [--no-restart] [--prefix DIR]

  --dry-run     say what would be done, and change nothing
  --undo        put back what was there before
  --only LIST   these of containerd,docker,podman, also where they are not found
  --no-restart  leave it to you to restart what has to be
  --prefix DIR  work below DIR instead of /, and restart nothing
END
}

say() {
    printf 'cove: %s\n' "$*"
}

trouble() {
    say "$*" >&2
    failed=yes
}

# Is the runtime to be set up? What is asked for by name is; else what is installed here.
wanted() {
    if [ -n "$only" ]; then
        case ",$only," in *",$1,"*) return 0 ;; esac
        return 1
    fi
    [ -d "$prefix$2" ] && return 0
    [ -z "$prefix" ] && command -v "$1" >/dev/null 2>&1
}

later() {
    case " $restarts " in *" $1 "*) ;; *) restarts="$restarts $1" ;; esac
}

# The first change of a file keeps what was there; a file that was not there is only noted.
remember() {
    [ -d "$state" ] || (umask 077 && mkdir -p "$state")
    if ! grep -Fqx -- "$1" "$state/files" 2>/dev/null; then
        if [ -e "$prefix$1" ]; then
            mkdir -p "$state/before${1%/*}"
            cp -p "$prefix$1" "$state/before$1"
            say "kept what was there: $state/before$1"
        fi
        printf '%s\n' "$1" >>"$state/files"
    fi
}

# FILE [MODE]: what comes on standard input becomes this file. 0 when it changed, or would.
put() {
    new=$(mktemp)
    cat >"$new"
    if cmp -s "$new" "$prefix$1"; then
        say "is as it should be: $prefix$1"
        rm -f "$new"
        return 1
    fi
    if [ "$act" = dry ]; then
        say "would write: $prefix$1"
        diff -u "$prefix$1" "$new" 2>/dev/null || [ -e "$prefix$1" ] || cat "$new"
        rm -f "$new"
        return 0
    fi
    remember "$1"
    mkdir -p "$prefix${1%/*}" "$state/written${1%/*}"
    if [ -e "$prefix$1" ]; then
        cp -p "$prefix$1" "$prefix$1.cove-new"
    else
        : >"$prefix$1.cove-new"
        chmod "${2:-644}" "$prefix$1.cove-new"
    fi
    cat "$new" >"$prefix$1.cove-new"
    mv -f "$prefix$1.cove-new" "$prefix$1"
    mv -f "$new" "$state/written$1"
    say "wrote: $prefix$1"
}

# FILE: back to what it was. What somebody changed since is theirs.
put_back() {
    if [ -e "$prefix$1" ] && ! cmp -s "$prefix$1" "$state/written$1"; then
        trouble "was changed since, left as it is: $prefix$1"
        printf '%s\n' "$1" >>"$state/left"
        return
    fi
    if [ -e "$state/before$1" ]; then
        cp -p "$state/before$1" "$prefix$1.cove-new"
        mv -f "$prefix$1.cove-new" "$prefix$1"
        say "put back: $prefix$1"
    else
        rm -f "$prefix$1"
        rmdir "$prefix${1%/*}" 2>/dev/null || :
        say "removed: $prefix$1"
    fi
    case $1 in
    */config.toml) later containerd ;;
    */daemon.json) later docker ;;
    *.conf) later crio ;;
    esac
}

undo() {
    if [ ! -s "$state/files" ]; then
        say 'there is nothing to undo'
        return
    fi
    rm -f "$state/left"
    while IFS= read -r file; do
        put_back "$file"
    done <"$state/files"
    if [ -e "$state/left" ]; then
        mv -f "$state/left" "$state/files"
    else
        rm -rf "$state"
    fi
}

# ---- containerd -------------------------------------------------------------------------------

# Standard input is config.toml. Without an argument: what it says of registries, in words. With
# one: the same text with config_path set to it.
registry_section() {
    awk -v path="${1:-}" '
        function wants(line) {
            return line ~ /^\[plugins\.["\047](io\.containerd\.grpc\.v1\.cri|io\.containerd\.cri\.v1\.images)["\047]\.registry\]/
        }
        function tell(word) { if (path == "") print word }
        { bare = $0; gsub(/[ \t]/, "", bare) }
        bare ~ /^version=/ { split(bare, part, "="); tell("version " part[2] + 0) }
        bare ~ /^disabled_plugins=.*cri["\047]/ { tell("off") }
        bare ~ /^\[plugins\..*\.registry\.mirrors/ { tell("mirrors") }
        inside && bare ~ /^config_path=/ {
            value = bare; sub(/^config_path=["\047]/, "", value); sub(/["\047].*$/, "", value)
            tell("path " value)
            if (path == "") next
            print "  config_path = \"" path "\""
            written = 1
            next
        }
        bare ~ /^\[/ {
            if (inside && path != "" && !written) { print "  config_path = \"" path "\""; written = 1 }
            inside = wants(bare)
            if (inside) tell("table")
        }
        path != "" { print }
        END { if (inside && path != "" && !written) print "  config_path = \"" path "\"" }
    '
}

# Finds the directory that containerd reads hosts.toml from, or tells it one.
containerd_directory() {
    certs=/etc/containerd/certs.d
    config=/etc/containerd/config.toml
    says='' version=2 plugin=io.containerd.grpc.v1.cri
    if [ -e "$prefix$config" ]; then
        says=$(registry_section <"$prefix$config")
        version=$(printf '%s\n' "$says" | sed -n 's/^version //p')
        [ "$version" != 3 ] || plugin=io.containerd.cri.v1.images
    fi
    path=$(printf '%s\n' "$says" | sed -n 's/^path \(..*\)/\1/p')
    if [ -n "$path" ]; then
        certs=${path%%:*}
        say "containerd reads hosts from $certs already"
    elif printf '%s\n' "$says" | grep -qx off; then
        say "containerd runs without CRI: nerdctl and ctr --hosts-dir read $certs as it is"
    elif printf '%s\n' "$says" | grep -qx mirrors; then
        trouble "$prefix$config has registry.mirrors, which containerd does not take beside config_path: move them to $certs first"
    elif [ -z "$version" ]; then
        trouble "$prefix$config is of version 1: set config_path = \"$certs\" for the registries of CRI yourself"
    elif printf '%s\n' "$says" | grep -qx table; then
        registry_section "$certs" <"$prefix$config" | put "$config" && later containerd
    else
        {
            if [ -e "$prefix$config" ]; then cat "$prefix$config"; else echo 'version = 2'; fi
            printf '\n[plugins."%s".registry]\n  config_path = "%s"\n' "$plugin" "$certs"
        } | put "$config" && later containerd
    fi
    return 0
}

# HOST: its hosts.toml on standard input. BASIC in it stands for who pulls.
containerd_host() {
    basic=''
    [ -z "${COVE_USER:-}" ] ||
        basic=$(printf '%s:%s' "$COVE_USER" "$COVE_SECRET" | base64 | tr -d '\n')
    while IFS= read -r line; do
        case $line in *BASIC*) line=${line%%BASIC*}$basic${line#*BASIC} ;; esac
        printf '%s\n' "$line"
    done | put "$certs/$1/hosts.toml" "${basic:+600}" || :
}

# ---- docker -----------------------------------------------------------------------------------

# URL: the whole daemon.json for it on standard input, for where there is none.
docker_mirror() {
    config=/etc/docker/daemon.json
    whole=$(cat)
    plain=''
    case $1 in http://*) plain=${1#http://} ;; esac
    if [ ! -s "$prefix$config" ]; then
        printf '%s\n' "$whole" | put "$config" && later docker
    elif grep -Fq -- "\"$1\"" "$prefix$config"; then
        say "is as it should be: $prefix$config"
    elif command -v jq >/dev/null 2>&1; then
        jq --arg url "$1" --arg plain "$plain" '
            ."registry-mirrors" = [$url] + (."registry-mirrors" // []) |
            if $plain == "" then . else
                ."insecure-registries" = ((."insecure-registries" // []) + [$plain] | unique) end
        ' "$prefix$config" | put "$config" && later docker
    elif command -v python3 >/dev/null 2>&1; then
        python3 - "$prefix$config" "$1" "$plain" <<'END' | put "$config" && later docker
import json, sys
with open(sys.argv[1]) as file:
    all = json.load(file)
all["registry-mirrors"] = [sys.argv[2]] + all.get("registry-mirrors", [])
if sys.argv[3]:
    all["insecure-registries"] = sorted({sys.argv[3], *all.get("insecure-registries", [])})
print(json.dumps(all, indent=2))
END
    else
        trouble "$prefix$config is there, and neither jq nor python3: add \"registry-mirrors\": [\"$1\"] yourself"
    fi
    return 0
}

# ---- podman and CRI-O -------------------------------------------------------------------------

podman_mirrors() {
    put /etc/containers/registries.conf.d/50-cove.conf && later crio
    [ -z "${COVE_USER:-}" ] || say "podman: once for everybody who pulls: podman login $1 --username '$COVE_USER'"
    return 0
}

# ---- beginning and end ------------------------------------------------------------------------

begin() {
    while [ $# -gt 0 ]; do
        case $1 in
        --dry-run) act=dry ;;
        --undo) act=undo ;;
        --no-restart) restart='' ;;
        --prefix | --only)
            [ $# -gt 1 ] || { usage >&2 && exit 2; }
            if [ "$1" = --prefix ]; then prefix=${2%/}; else only=$2; fi
            shift
            ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    state=$prefix/var/lib/cove-node
    if [ -z "$prefix" ] && [ "$act" != dry ] && [ "$(id -u)" != 0 ]; then
        say 'run it as root, or see what it would do with --dry-run' >&2
        exit 1
    fi
    if [ "$act" = undo ]; then
        undo
        finish
    fi
}

finish() {
    for unit in $restarts; do
        how=restart
        [ "$unit" = containerd ] || how=reload
        if [ "$act" = dry ] || [ -n "$prefix" ] || [ -z "$restart" ] ||
            ! command -v systemctl >/dev/null 2>&1; then
            [ "$unit" = crio ] || say "to do: systemctl $how $unit"
        elif systemctl --quiet is-active "$unit"; then
            say "systemctl $how $unit"
            systemctl "$how" "$unit" || trouble "systemctl $how $unit failed"
        fi
    done
    [ -z "$failed" ] || exit 1
    exit 0
}
