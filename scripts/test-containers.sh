#!/usr/bin/env bash
# Tries the image as users run it: builds it, starts Kafka, ZooKeeper and three nodes from it (read-only root, no root user) behind
# nginx with deploy/nginx.conf, kills a node in the middle of a load, and looks whether every acknowledged write is everywhere.
# Needs Docker, nginx (scripts/install-test-dependencies.sh), Node, and the images node:20-bookworm, node:20-bookworm-slim,
# apache/kafka:3.9.1 and zookeeper:3.8.4. A line for every step; the last is `ok`, or what went wrong. Leaves nothing behind but the
# builder's cache.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
run=bitacora-containers-$$
label=bitacora.test.containers=$run
scratch=$(mktemp -d)
chmod 755 "$scratch" # nginx, when started by root, works as somebody else
balancer_pid=
load_pid=
finished=

say() { echo "test-containers: $*"; }
# No order to the daemon may hang.
d() { timeout -k 5 60 docker "$@"; }

clean() {
  local pid
  for pid in $load_pid $balancer_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  d ps -aq --filter "label=$label" | xargs -r timeout 60 docker rm -fv
  d volume ls -q --filter "label=$label" | xargs -r timeout 60 docker volume rm -f
  d network ls -q --filter "label=$label" | xargs -r timeout 60 docker network rm
  d image rm -f "$run"
  rm -rf "$scratch"
} >/dev/null 2>&1

# Ends the run. What the nodes said last comes first, so that the reason is the last line.
fail() {
  local name
  trap '' INT TERM HUP
  for name in "$run-kafka" "$run-zookeeper" "$run-node1" "$run-node2" "$run-node3"; do
    d container inspect "$name" >/dev/null 2>&1 || continue
    echo "-- $name, last lines"
    d logs --tail 12 "$name" 2>&1 | cut -c 1-300
  done
  [ -s "$scratch/nginx.log" ] && { echo "-- nginx, last lines"; tail -n 8 "$scratch/nginx.log"; }
  clean
  finished=yes
  echo "failed: $*"
  exit 1
} >&2
trap 'fail "stopped by a signal"' INT TERM HUP
trap '[ -n "$finished" ] || fail "the script ended before its end"' EXIT

# What talks to the nodes: writes keys, keeping a list of those acknowledged, and reads that list back.
cat >"$scratch/drive.mjs" <<'END'
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
const [, , what, base, ...rest] = process.argv;
const callMs = 25_000; // above anything that the balancer waits for
const value = (key) => `value ^ of ${key}`;
const ask = (path, method = 'GET') => fetch(base + path, { method, signal: AbortSignal.timeout(callMs) });

async function each(items, work) { // four at a time
  const queue = [...items];
  await Promise.all([1, 2, 3, 4].map(async () => { for (let one = queue.shift(); one !== undefined; one = queue.shift()) await work(one); }));
}

if (what === 'write') {
  const [prefix, count, list, mayFail = 0, stop = ''] = rest; // a file named by `stop` ends the writing early
  let acknowledged = 0, unknown = 0, repeated = 0;
  await each(Array.from({ length: Number(count) }, (_, n) => `${prefix}-${n}`), async (key) => {
    if (existsSync(stop)) return;
    for (let attempt = 0; attempt < 20; attempt++) {
      const path = `/rpc?key=${key}&value=${encodeURIComponent(value(key))}`;
      const status = await ask(path, 'POST').then(async (answer) => (await answer.arrayBuffer(), answer.status), () => 0);
      if (status === 200) { appendFileSync(list, `${key}\n`); acknowledged++; return; }
      if (status !== 503) break; // 503 alone means: certainly not done, ask again
      repeated++;
      await delay(250);
    }
    unknown++;
  });
  console.log(`${acknowledged} acknowledged, ${unknown} not, ${repeated} asked again`);
  process.exit(unknown > Number(mayFail) ? 1 : 0);
}

if (what === 'read') {
  const [path, list, seconds] = rest;
  const until = Date.now() + Number(seconds) * 1000;
  let missing = readFileSync(list, 'utf8').split('\n').filter(Boolean);
  const total = missing.length;
  let last = '';
  do {
    const still = [];
    await each(missing, async (key) => {
      const answer = await ask(`${path}?key=${key}`).then(async (one) => ({ status: one.status, body: await one.text() }), (error) => ({ status: 0, body: String(error) }));
      const good = answer.status === 200 && JSON.parse(answer.body).value === value(key);
      if (!good) { still.push(key); last = `${key}: ${answer.status} ${answer.body.trim()}`; }
    });
    missing = still;
    if (missing.length > 0) await delay(250);
  } while (missing.length > 0 && Date.now() < until);
  console.log(missing.length === 0 ? `all ${total}` : `${missing.length} of ${total} missing, ${last}`);
  process.exit(missing.length > 0 ? 1 : 0);
}
END
drive() { timeout -k 5 180 node "$scratch/drive.mjs" "$@"; }

until_true() { # seconds, command
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.5; done
}
health_is() { [ "$(d inspect --format '{{.State.Health.Status}}' "$1")" = "$2" ]; }
free_port() { node -e 's = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }

d info >/dev/null 2>&1 || fail "no Docker daemon answers"
nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || fail "nginx is not installed (scripts/install-test-dependencies.sh)"

# The builder's packages come over the host's network, which works on machines that give containers none of their own as well.
timeout -k 5 900 docker build --network host -t "$run" "$root" >"$scratch/build.log" 2>&1 || { tail -n 20 "$scratch/build.log" >&2; fail "the image does not build"; }
say "built the image, $(($(d image inspect --format '{{.Size}}' "$run") / 1000000)) MB"

d run --rm "$run" --help | grep -q 'bitacora serve' || fail "docker run … --help does not show the commands"
d network create --label "$label" "$run" >/dev/null || fail "no network"

service() { # name, docker run arguments
  local name=$1; shift
  d run -d --name "$run-$name" --hostname "$name" --network "$run" --network-alias "$name" --label "$label" "$@" >/dev/null || fail "$name does not start"
}
service zookeeper zookeeper:3.8.4
service kafka -e KAFKA_HEAP_OPTS=-Xmx384m -e KAFKA_NODE_ID=1 -e KAFKA_PROCESS_ROLES=broker,controller \
  -e KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093 -e KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER \
  -e KAFKA_LISTENERS=PLAINTEXT://:9092,CONTROLLER://localhost:9093 -e KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://kafka:9092 \
  -e KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT \
  -e KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1 -e KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1 \
  -e KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1 -e KAFKA_AUTO_CREATE_TOPICS_ENABLE=false -e KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0 \
  apache/kafka:3.9.1
until_true 60 d exec "$run-zookeeper" bash -c 'exec 3<>/dev/tcp/127.0.0.1/2181; echo srvr >&3; grep -q Mode: <&3' || fail "ZooKeeper does not answer"
until_true 60 d exec "$run-kafka" bash -c 'exec 3<>/dev/tcp/127.0.0.1/9092' || fail "Kafka does not listen"
say "Kafka and ZooKeeper run"

ports=()
for n in 1 2 3; do
  # Fixed, because Docker gives a container that is started again another port of its own choice.
  ports[n]=$(free_port)
  volume=$(d volume create --label "$label" "$run-node$n") || fail "no volume"
  service "node$n" --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -v "$volume:/data" -p "127.0.0.1:${ports[n]}:8082" \
    -e ZOOKEEPER_HOSTS=zookeeper:2181 -e BROKER_LIST=kafka:9092 -e "NODE_ADDRESS=node$n:8082" "$run"
done
node_url() { echo "http://127.0.0.1:${ports[$1]}"; }
for n in 1 2 3; do until_true 90 health_is "$run-node$n" healthy || fail "node$n is not healthy"; done
say "three nodes are healthy"

for n in 1 2 3; do
  user=$(d inspect --format '{{.Config.User}}' "$run-node$n")
  case ${user%%:*} in '' | 0 | root) fail "node$n is configured to run as root" ;; esac
  [ "$(d exec "$run-node$n" id -u)" = 1000 ] || fail "node$n does not run as uid 1000"
  [ "$(d inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$run-node$n")" = true ] || fail "the root of node$n is not read-only"
  if d exec "$run-node$n" sh -c ': >/app/written' 2>/dev/null; then fail "node$n can write outside its volume"; fi
done
say "they run as uid 1000 on a read-only root"

balancer_port=$(free_port)
balancer=http://127.0.0.1:$balancer_port
sed -e "s/node1:8082/127.0.0.1:${ports[1]}/; s/node2:8082/127.0.0.1:${ports[2]}/; s/node3:8082/127.0.0.1:${ports[3]}/" \
  -e "s/listen 8080/listen 127.0.0.1:$balancer_port/" -e "s#/tmp/#$scratch/#" -e 's/worker_processes auto/worker_processes 2/' \
  "$root/deploy/nginx.conf" >"$scratch/nginx.conf"
"$nginx" -e stderr -c "$scratch/nginx.conf" -g 'daemon off;' >"$scratch/nginx.log" 2>&1 &
balancer_pid=$!
until_true 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$balancer_port" || fail "nginx does not listen"
say "nginx is in front"

acknowledged=$scratch/acknowledged
: >"$acknowledged"
everywhere() { # path, seconds, nodes
  local path=$1 seconds=$2 told; shift 2
  for n in "$@"; do told=$(drive read "$(node_url "$n")" "$path" "$acknowledged" "$seconds") || fail "through node$n: $told"; done
}

told=$(drive write "$balancer" before 300 "$acknowledged") || fail "writes through the balancer: $told"
say "written through the balancer: $told"
everywhere /rpc 20 1 2 3
say "every node answers all of it"

# In the middle of a load. A request that the killed node had begun may end without an answer, one on each of the four connections.
drive write "$balancer" during 5000 "$acknowledged" 4 "$scratch/stop" >"$scratch/during" &
load_pid=$!
until_true 60 grep -q during-100 "$acknowledged" || fail "the load does not get going"
d kill -s KILL "$run-node2" >/dev/null || fail "node2 cannot be killed"
kill -0 "$load_pid" 2>/dev/null || fail "the load was over before the kill"
sleep 3
: >"$scratch/stop"
wait "$load_pid" || fail "writes while node2 was killed: $(cat "$scratch/during")"
load_pid=
say "node2 killed in the middle of a load: $(cat "$scratch/during")"

told=$(drive write "$balancer" after 200 "$acknowledged") || fail "writes without node2: $told"
say "written without node2: $told"
told=$(drive read "$balancer" /rpc "$acknowledged" 20) || fail "reads through the balancer without node2: $told"
everywhere /rpc 20 1 3
say "every acknowledged write is read through the balancer, node1 and node3"

d start "$run-node2" >/dev/null || fail "node2 cannot be started again"
until_true 90 health_is "$run-node2" healthy || fail "node2 does not become healthy again"
# This path is answered from the node's own state alone.
everywhere /rpc/cluster 20 2 1 3
say "node2 is back and has all of it by itself, as the others have"

for n in 1 2 3; do
  if d logs "$run-node$n" 2>&1 | grep -q '"event":"store.rebuild"'; then fail "node$n threw its store away and rebuilt it, for no reason given to it"; fi
done
say "no node rebuilt its store"

for n in 1 2 3; do
  d stop -t 20 "$run-node$n" >/dev/null || fail "node$n cannot be stopped"
  code=$(d inspect --format '{{.State.ExitCode}}' "$run-node$n")
  [ "$code" = 0 ] || fail "node$n ends with code $code on SIGTERM"
done
say "they end with code 0 on SIGTERM"

clean
finished=yes
echo ok
