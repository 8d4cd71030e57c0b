# shellcheck shell=bash
# What the scripts share. Sourced, not run; leaves the caller in the repository's root.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# shellcheck disable=SC1091 # written by rustup, outside this repository
[ ! -f "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"

say() { printf '%s\n' "$*"; }
note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { note "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# engine: the container engine that works here: docker, podman or buildah; nothing when there is none.
engine() {
    local tool
    for tool in docker podman; do
        if have "$tool" && timeout 10 "$tool" info >/dev/null 2>&1; then say "$tool"; return; fi
    done
    if have buildah; then say buildah; fi
}

# eventually SECONDS COMMAND...: retries until it succeeds; fails when the time is over.
eventually() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# stop PID...: TERM, then KILL after five seconds; returns when they are gone.
stop() {
    local pid end
    for pid in "$@"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "$@"; do
        end=$((SECONDS + 5))
        while kill -0 "$pid" 2>/dev/null; do
            [ "$SECONDS" -lt "$end" ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.05
        done
    done
}
