# shellcheck shell=bash
# Two hosts and a vnf between them: namespaces, taps, servers, checks. Sourced after common.sh and hugepages.sh.
#
#   lan namespace                vnf                        wan namespace
#   10.0.0.2 ---- tap ---- 10.0.0.1 | 198.51.100.1 ---- tap ---- 198.51.100.254, servers on 203.0.113.7
#                          pool 198.51.100.10-13
#
# Every name carries the number of this process, so several worlds exist side by side.
LAN=vnf-lan-$$ WAN=vnf-wan-$$ LAN_TAP=vnfl$$ WAN_TAP=vnfw$$
SERVER=203.0.113.7
DIR='' VNF_PID='' PIDS=() SECRET_PORT=8081 WEB_PORT=80 DOWNLOAD_MB=100

# world_begin: the directory and the two namespaces.
world_begin() {
    DIR=$(mktemp -d /tmp/vnf-XXXXXX)
    chmod 755 "$DIR"
    ip netns add "$LAN"
    ip netns add "$WAN"
    local namespace
    for namespace in "$LAN" "$WAN"; do
        ip netns exec "$namespace" sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
        ip -n "$namespace" link set lo up
    done
}

# world_config HUGEPAGES: writes $DIR/vnf.toml.
world_config() {
    local cores=()
    mapfile -t cores < <(world_cores)
    cat >"$DIR/vnf.toml" <<TOML
[dpdk]
main_core    = ${cores[0]}
worker_cores = [${cores[1]:-${cores[0]}}]
memory       = "512MiB"
hugepages    = "$1"

[management]
socket = "$DIR/vnf.sock"

[[port]]
name      = "lan"
device    = "net_tap0,iface=$LAN_TAP"
addresses = ["10.0.0.1/24"]
mac       = "02:00:00:00:00:01"
nat       = "internal"
acl_in    = "from-lan"

[[port]]
name      = "wan"
device    = "net_tap1,iface=$WAN_TAP"
addresses = ["198.51.100.1/24"]
mac       = "02:00:00:00:00:02"
nat       = "external"

[[route]]
prefix    = "0.0.0.0/0"
next_hops = ["198.51.100.254"]

[nat44]
pool         = ["198.51.100.10-198.51.100.13"]
max_sessions = 100_000

[[acl]]
name    = "from-lan"
default = "permit"

[[acl.rule]]
action           = "deny"
protocol         = "tcp"
destination_port = $SECRET_PORT
TOML
}

# world_cores: the numbers of the cores this process may use, one a line.
world_cores() {
    awk '/^Cpus_allowed_list:/ {
        n = split($2, ranges, ",")
        for (i = 1; i <= n; i++) { m = split(ranges[i], r, "-"); for (c = r[1]; c <= r[m]; c++) print c }
    }' /proc/self/status
}

# world_start COMMAND...: runs a vnf, waits for its taps and gives one to each namespace.
world_start() {
    export VNF_SOCKET=$DIR/vnf.sock
    setsid "$@" >"$DIR/vnf.log" 2>&1 8>&- &
    VNF_PID=$!
    if ! eventually 60 test -e "/sys/class/net/$WAN_TAP" || ! world_vnf status --wait 20 >>"$DIR/vnf.log" 2>&1; then
        note "vnf did not start; its last words:"
        tail -n 15 "$DIR/vnf.log" >&2
        return 1
    fi
    world_plug "$LAN" "$LAN_TAP" 02:00:00:00:01:02 10.0.0.2/24 10.0.0.1
    world_plug "$WAN" "$WAN_TAP" 02:00:00:00:02:fe 198.51.100.254/24 ''
    ip -n "$WAN" addr add "$SERVER/32" dev lo
    # Oracles in the kernel: what must never be seen on either side.
    ip netns exec "$LAN" nft -f - <<'NFT'
table ip oracle {
  counter unsolicited { }
  chain seen {
    type filter hook prerouting priority -300;
    ip saddr 198.51.100.254 counter name unsolicited
  }
}
NFT
    ip netns exec "$WAN" nft -f - <<'NFT'
table ip oracle {
  counter leaked { }
  chain seen {
    type filter hook prerouting priority -300;
    ip saddr 10.0.0.0/8 counter name leaked
  }
}
NFT
}

# world_plug NAMESPACE TAP MAC ADDRESS GATEWAY: moves the kernel's end of a tap and configures it.
world_plug() {
    ip link set "$2" netns "$1"
    ip -n "$1" link set "$2" address "$3"
    ip -n "$1" addr add "$4" dev "$2"
    ip -n "$1" link set "$2" up
    [ -z "$5" ] || ip -n "$1" route add default via "$5"
}

# world_serve: starts the servers on the far side.
world_serve() {
    mkdir -p "$DIR/www"
    head -c "$((DOWNLOAD_MB * 1000 * 1000))" /dev/urandom >"$DIR/www/file"
    local port
    for port in "$WEB_PORT" "$SECRET_PORT"; do
        world_background "$WAN" "http-$port" python3 -u -m http.server "$port" --bind "$SERVER" --directory "$DIR/www"
    done
    if have iperf3; then world_background "$WAN" iperf3 iperf3 --server --bind "$SERVER" --forceflush; fi
    for port in "$WEB_PORT" "$SECRET_PORT"; do
        eventually 20 ip netns exec "$WAN" nc -z "$SERVER" "$port" || { note "the server on port $port did not start"; return 1; }
    done
    : >"$DIR/http-$WEB_PORT.log"
}

# world_background NAMESPACE LOG COMMAND...
world_background() {
    setsid ip netns exec "$1" "${@:3}" >>"$DIR/$2.log" 2>&1 &
    PIDS+=($!)
}

# world_vnf ARGUMENTS...: the client.
world_vnf() { "${VNF_CLIENT[@]}" "$@"; }

# world_drops REASON: how many packets were dropped for this reason.
world_drops() { world_vnf show drops --json | jq -e ".\"$1\""; }

# world_counter NAMESPACE NAME: an oracle's count of packets.
world_counter() {
    ip netns exec "$1" nft -j list counter ip oracle "$2" | jq -e '.nftables[] | select(.counter) | .counter.packets'
}

# world_end: takes everything down again; safe at any point, any number of times.
world_end() {
    local namespace pids=()
    set +e
    trap '' INT TERM HUP
    # shellcheck disable=SC2086 # no process: no word
    stop $VNF_PID "${PIDS[@]}"
    VNF_PID='' PIDS=()
    for namespace in "$LAN" "$WAN"; do
        [ -e "/run/netns/$namespace" ] || continue
        mapfile -t pids < <(ip netns pids "$namespace")
        stop "${pids[@]}"
        ip netns del "$namespace"
    done
    hugepages_give
    [ -z "$DIR" ] || rm -rf "$DIR"
    DIR=''
}

FAILED=0
# row WHAT SEEN VERDICT: one line of the table; a verdict other than ok is remembered.
row() {
    printf '  %-44s %-34s %s\n' "$1" "$2" "$3"
    [ "$3" = ok ] || FAILED=$((FAILED + 1))
}

# verdict COMMAND...: "ok" or "FAILED".
verdict() { if "$@" >/dev/null 2>&1; then say ok; else say FAILED; fi; }

check_ping() {
    local out received
    out=$(ip netns exec "$LAN" ping -n -q -c 5 -i 0.2 -W 2 "$SERVER" 2>&1) || true
    received=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' <<<"$out")
    row "ping through the NAT" "${received:-0} of 5, $(sed -n 's|^rtt [^=]*= [^/]*/\([^/]*\)/.*|\1 ms|p' <<<"$out")" \
        "$(verdict test "${received:-0}" -eq 5)"
}

check_download() {
    local sum begin end
    begin=$(date +%s%N)
    sum=$(ip netns exec "$LAN" curl -s --noproxy '*' --max-time 120 "http://$SERVER:$WEB_PORT/file" | sha256sum) || true
    end=$(date +%s%N)
    row "HTTP download of $DOWNLOAD_MB MB, SHA-256 compared" "$((DOWNLOAD_MB * 8000000 / ((end - begin) / 1000))) Mbit/s" \
        "$(verdict test "$sum" = "$(sha256sum <"$DIR/www/file")")"
}

# check_iperf LABEL OPTIONS...
check_iperf() {
    local rate
    rate=$(ip netns exec "$LAN" timeout 30 iperf3 --client "$SERVER" --time 3 --json "${@:2}" 2>/dev/null \
        | jq -r '.end.sum_received.bits_per_second // 0 | . / 1e6 | floor') || rate=0
    row "$1" "${rate:-0} Mbit/s" "$(verdict test "${rate:-0}" -gt 0)"
}

check_far_side() {
    local seen outside leaked
    seen=$(awk '/"GET / { print $1 }' "$DIR/http-$WEB_PORT.log" | sort -u | paste -sd ' ')
    outside=$(tr ' ' '\n' <<<"$seen" | grep -c -v -E '^198\.51\.100\.1[0-3]$') || true
    leaked=$(world_counter "$WAN" leaked) || leaked=unknown
    row "the far side sees pool addresses only" "${seen:-nobody}; $leaked from inside" \
        "$(verdict test "$outside,$leaked" = 0,0)"
}

check_denied() {
    local before after answer=closed
    before=$(world_drops acl-denied) || before=0
    if ip netns exec "$LAN" curl -s --noproxy '*' --max-time 2 "http://$SERVER:$SECRET_PORT/" >/dev/null; then answer=open; fi
    after=$(world_drops acl-denied) || after=0
    row "denied port $SECRET_PORT" "$answer, acl-denied +$((after - before))" \
        "$(verdict test "$answer" = closed -a "$after" -gt "$before")"
}

# Ten datagrams and a SYN from a stranger to pool addresses, on ports below those that NAT hands out.
check_unsolicited() {
    local before after inside i
    before=$(world_drops nat-no-mapping) || before=0
    for i in {1..10}; do
        ip netns exec "$WAN" bash -c "echo knock >/dev/udp/198.51.100.1$((i % 4))/$((500 + i))"
    done
    ip netns exec "$WAN" nc -z -w 1 198.51.100.10 22 >/dev/null 2>&1 || true
    after=$(world_drops nat-no-mapping) || after=0
    inside=$(world_counter "$LAN" unsolicited) || inside=unknown
    row "unsolicited packets to a pool address" "$inside inside, nat-no-mapping +$((after - before))" \
        "$(verdict test "$inside" = 0 -a "$((after - before))" -ge 11)"
}
