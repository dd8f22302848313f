#!/usr/bin/env bash
# Installs ZooKeeper 3.8.4 and Kafka 3.9.1 on Debian bookworm, as root, and starts them. Run again, it changes nothing that fits.
# pom.xml and jars.sha512 stand in the directory named by the first argument.
set -euo pipefail
lists=${1:-/tmp/bitacora-services}
home=/opt/bitacora-services
data=/var/lib/bitacora-services

fail() { echo "provision: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "must run as root"
for name in pom.xml jars.sha512; do [ -f "$lists/$name" ] || fail "$name is not in $lists"; done

export DEBIAN_FRONTEND=noninteractive
if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
  apt-get update -q
  apt-get install -y -q --no-install-recommends openjdk-17-jre-headless maven
fi

fits() { (cd "$1" && sha512sum --quiet --strict -c "$lists/jars.sha512") >/dev/null 2>&1; }

# Everything the two servers load is compared with the list, and nothing else is there: set up beside, then put in place.
if ! fits "$home/libs"; then
  rm -rf "$home/new"
  mkdir -p "$home/new"
  mvn -B -q --strict-checksums -f "$lists/pom.xml" dependency:copy-dependencies -DoutputDirectory="$home/new"
  fits "$home/new" || fail "what was fetched does not fit jars.sha512"
  [ "$(find "$home/new" -type f | wc -l)" = "$(wc -l <"$lists/jars.sha512")" ] || fail "more was fetched than jars.sha512 names"
  rm -rf "$home/libs"
  mv "$home/new" "$home/libs"
fi

getent passwd bitacora-services >/dev/null || useradd --system --home-dir "$data" --shell /usr/sbin/nologin bitacora-services
install -d -o bitacora-services -g bitacora-services -m 750 "$data" "$data/kafka" "$data/zookeeper"

cat >"$home/zookeeper.properties" <<END
dataDir=$data/zookeeper
clientPort=2181
tickTime=2000
# Its web page would take port 8080.
admin.enableServer=false
autopurge.purgeInterval=24
END

cat >"$home/kafka.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093
# The host reaches this machine through its own port 9092; inside, the address is right too.
advertised.listeners=PLAINTEXT://127.0.0.1:9092
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data/kafka
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# A node makes its topic itself, compacted; one made in passing by another client would lose data after a week.
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
group.initial.rebalance.delay.ms=0
END

unit() { # name, description, command before the start, command
  cat >"/etc/systemd/system/bitacora-$1.service" <<END
[Unit]
Description=$2
After=network.target

[Service]
User=bitacora-services
WorkingDirectory=$data
${3:+ExecStartPre=$3}
ExecStart=$4
# A server of the Java world ends with 143 when it is told to end.
SuccessExitStatus=143
Restart=on-failure
RestartSec=2
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
ReadWritePaths=$data

[Install]
WantedBy=multi-user.target
END
}
java=/usr/bin/java
classes="-cp $home/libs/*"
unit zookeeper "ZooKeeper 3.8.4 for Bitácora" "" \
  "$java -Xmx256m $classes org.apache.zookeeper.server.ZooKeeperServerMain $home/zookeeper.properties"
unit kafka "Kafka 3.9.1 for Bitácora" \
  "$java -Xmx64m $classes kafka.tools.StorageTool format --ignore-formatted -t Yml0YWNvcmEtdmFncmFudA -c $home/kafka.properties" \
  "$java -Xmx512m $classes kafka.Kafka $home/kafka.properties"

systemctl daemon-reload
systemctl enable --quiet bitacora-zookeeper bitacora-kafka
systemctl restart bitacora-zookeeper bitacora-kafka

for port in 2181 9092; do
  for _ in $(seq 60); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
    sleep 1
  done
  journalctl -n 20 -u bitacora-zookeeper -u bitacora-kafka --no-pager >&2
  fail "nothing listens on port $port after a minute"
done
echo "provision: ZooKeeper on 2181, Kafka on 9092"
