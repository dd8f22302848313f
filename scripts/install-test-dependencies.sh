#!/usr/bin/env bash
# Installs what the tests need beyond Node, on Debian as root: nginx and promtool (the binaries alone), a Java runtime and
# Maven. Run again, it changes nothing and takes no time.
set -euo pipefail

fail() { echo "install-test-dependencies: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "must run as root (try: sudo $0)"
[ -f /etc/debian_version ] && command -v apt-get >/dev/null || fail "only Debian and its relatives are supported; install nginx, and Docker or Java 17 with Maven, by hand"

missing=()

want() { # name, package, test: one line that says what is there or will be
  if eval "$3" >/dev/null 2>&1; then echo "$1: present"; else echo "$1: to be installed ($2)"; missing+=("$2"); fi
}

want nginx nginx-light 'command -v nginx || [ -x /usr/sbin/nginx ]'
want promtool prometheus 'command -v promtool'
# Java's own clients of the Avro face, with or without Docker.
want Java openjdk-17-jre-headless 'java -version'
want Maven maven 'mvn -version'

[ ${#missing[@]} -gt 0 ] || exit 0

# Packages ask this file before they start a service; 101 forbids it. One that stands here already is put back.
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then mv "$policy" "$policy.bitacora"; fi
restore() { rm -f "$policy"; if [ -e "$policy.bitacora" ]; then mv "$policy.bitacora" "$policy"; fi; }
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod +x "$policy"

log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
quietly() { timeout 600 "$@" </dev/null >>"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "failed: $*"; }; }
quietly apt-get update -q
quietly apt-get install -y -q --no-install-recommends "${missing[@]}"
rm -f "$log"
echo "installed: ${missing[*]}"
