#!/usr/bin/env bash
# A Ray cluster of several nodes on this machine, each node a process of its own with token authentication.
#   infra/local/cluster.sh up [NODES]     start a head without CPUs and NODES workers of one CPU (2 if not given)
#   infra/local/cluster.sh kill N         end worker N at once, as a lost machine would
#   infra/local/cluster.sh cut N          take worker N's cable out: it runs on, unreachable; only with namespaces
#   infra/local/cluster.sh add N          start worker N (again)
#   infra/local/cluster.sh status|down
# LGC_NAMESPACES=true gives each worker a network namespace with an address of its own, joined by a bridge, as machines
# are by a switch; that takes root (or CAP_NET_ADMIN). What listens on this machine's loopback is out of their reach.
# `up` writes a file for your shell; then `lgc compose runtime.workers=NODES runtime.stages=1` and `lgc repro` use it.
# The dashboard is on loopback; LGC_DASHBOARD=false leaves it out. Ray's own server listens on all interfaces whatever it
# is told, so the token is what keeps strangers out. State is in runs/cluster, or $LGC_CLUSTER.
set -euo pipefail

state=${LGC_CLUSTER:-runs/cluster}
python=${PYTHON:-python}
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1
# at Ray's own 15 the workers stand behind everything else on this machine
export RAY_worker_niceness=0
# a lost node is noticed within seconds instead of half a minute
export RAY_health_check_period_ms=1000 RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=5
export RAY_health_check_initial_delay_ms=5000

fail() { echo "error: $*" >&2; exit 1; }

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

alive() { # alive NAME: its process runs and is still the one that was started
  local pid began
  [ -f "$state/$1.pid" ] || return 1
  read -r pid began <"$state/$1.pid"
  [ "$(start_time "$pid")" = "$began" ]
}

start_time() { # of a process, in clock ticks after boot; a number that was given to another process has another one
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || { echo gone; return; }
  awk '{ print $20 }' <<<"${stat##*) }"
}

bridge() { cat "$state/bridge" 2>/dev/null || true; } # its name, where workers have namespaces

address() { # address K: of node K, the head being 0
  local name
  name=$(bridge)
  if [ -n "$name" ]; then echo "10.213.${name#lgc}.$(($1 + 1))"; else echo 127.0.0.1; fi
}

make_bridge() {
  local number
  for number in $(seq 0 255); do
    ip link show "lgc$number" >/dev/null 2>&1 && continue
    ip link add "lgc$number" type bridge || fail "LGC_NAMESPACES: no right to make network interfaces; be root, or do without"
    echo "lgc$number" >"$state/bridge"
    ip addr add "$(address 0)/24" dev "lgc$number"
    ip link set "lgc$number" up
    return
  done
  fail "LGC_NAMESPACES: all 256 bridges lgc0 to lgc255 exist"
}

make_namespace() { # make_namespace K: for worker K, its cable plugged in
  local name
  name=$(bridge)-$1
  if ! ip netns pids "$name" >/dev/null 2>&1; then
    ip netns add "$name"
    ip link add "$name" type veth peer name eth0 netns "$name"
    ip link set "$name" master "$(bridge)"
    ip -n "$name" addr add "$(address "$1")/24" dev eth0
    ip -n "$name" link set lo up
    ip -n "$name" link set eth0 up
  fi
  ip link set "$name" up
}

remove_network() {
  local name
  [ -n "$(bridge)" ] || return 0
  for name in $(ip netns list | awk -v start="$(bridge)-" 'index($1, start) == 1 { print $1 }'); do
    ip link del "$name" # a namespace lives as long as a process in it, which may be on its way out
    ip netns del "$name"
  done
  ip link del "$(bridge)"
  rm "$state/bridge"
}

start() { # start NAME ADDRESS RAY-START-ARGUMENTS...: in the namespace $inside, if that is set
  local name=$1 place=$2
  shift 2
  if alive "$name"; then echo "$name: runs already"; return; fi
  RAY_AUTH_TOKEN_PATH=$state/token setsid ${inside:+ip netns exec "$inside"} "$python" -m ray.scripts.scripts start \
    --block --disable-usage-stats \
    --node-ip-address="$place" --object-store-memory="${LGC_OBJECT_STORE:-150000000}" "$@" \
    >"$state/$name.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid $(start_time "$pid")" >"$state/$name.pid"
  for _ in $(seq 1 600); do
    if grep -qs "Ray runtime started" "$state/$name.log"; then # the log may not be there yet
      echo "$name: started"
      return
    fi
    if ! alive "$name"; then break; fi
    sleep 0.2
  done
  fail "$name did not start: $(tail -n 1 "$state/$name.log")"
}

stop() { # stop NAME SIGNAL: the process and its children, which share its session
  alive "$1" || { rm -f "$state/$1.pid"; return 0; }
  local pid _
  read -r pid _ <"$state/$1.pid"
  kill -s "$2" -- "-$pid" 2>/dev/null || true
  for _ in $(seq 1 50); do alive "$1" || break; sleep 0.2; done
  kill -s KILL -- "-$pid" 2>/dev/null || true
  rm -f "$state/$1.pid"
}

worker() {
  local inside=""
  if [ -n "$(bridge)" ]; then
    make_namespace "$1"
    inside=$(bridge)-$1
  fi
  start "worker-$1" "$(address "$1")" --address="$(cat "$state/address")" --num-cpus=1
}

up() {
  local nodes=${1:-2}
  case "$nodes" in '' | *[!0-9]*) fail "NODES is a number, not $nodes" ;; esac
  mkdir -p "$state"
  state=$(cd "$state" && pwd)
  chmod 700 "$state"
  if [ ! -s "$state/token" ]; then
    (umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$state/token")
  fi
  if ! alive head; then
    local port dashboard client
    port=$(free_port) dashboard=$(free_port) client=$(free_port)
    # Ray puts sockets below its folder, whose path must stay short, and opens it to all users of this machine, though
    # its logs name the environment of what it runs: so it lies in a folder that nobody else may enter
    [ -s "$state/folder" ] || mktemp -d /tmp/lgc-ray-XXXXXX >"$state/folder"
    if [ "${LGC_NAMESPACES:-false}" = true ] && [ -z "$(bridge)" ]; then make_bridge; fi
    echo "$(address 0):$port" >"$state/address"
    start head "$(address 0)" --head --port="$port" --num-cpus=0 --include-dashboard="${LGC_DASHBOARD:-true}" --dashboard-host=127.0.0.1 \
      --dashboard-port="$dashboard" --ray-client-server-port="$client" --temp-dir="$(cat "$state/folder")/ray"
  fi
  local number
  for number in $(seq 1 "$nodes"); do worker "$number"; done
  printf 'export RAY_ADDRESS=%s RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=%q\n' "$(cat "$state/address")" "$state/token" \
    >"$state/env"
  echo "use it:  . $state/env && lgc compose runtime.workers=$nodes runtime.stages=1 && lgc repro"
}

need() { [ -s "$state/address" ] || fail "$state: no cluster here; start one with $0 up"; state=$(cd "$state" && pwd); }

case "${1:-}" in
  up) up "${2:-2}" ;;
  kill)
    need
    alive "worker-${2:-}" || fail "worker ${2:-} does not run"
    stop "worker-$2" KILL
    echo "worker-$2: killed"
    ;;
  cut)
    need
    [ -n "$(bridge)" ] || fail "the workers share this machine's network; start them with LGC_NAMESPACES=true"
    alive "worker-${2:-}" || fail "worker ${2:-} does not run"
    ip link set "$(bridge)-$2" down
    echo "worker-$2: cut off"
    ;;
  add)
    need
    worker "${2:?which worker}"
    ;;
  status)
    need
    for file in "$state"/*.pid; do
      [ -e "$file" ] || { echo "nothing runs"; exit 1; }
      name=$(basename "$file" .pid)
      if alive "$name"; then echo "$name: runs"; else echo "$name: gone"; fi
    done
    ;;
  down)
    need
    for file in "$state"/worker-*.pid "$state"/head.pid; do
      [ -e "$file" ] || continue
      name=$(basename "$file" .pid)
      stop "$name" TERM
      echo "$name: ended"
    done
    remove_network
    rm -rf "$(cat "$state/folder")" "$state/folder" "$state/address" "$state/env"
    ;;
  *) echo "usage: $0 up [NODES] | kill N | cut N | add N | status | down" >&2; exit 2 ;;
esac
