/** The one file that names `prom-client`: what is counted, under which names and units. docs/operations.md lists them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { SeedMeter } from '../../cluster/seed-meter.ts';
import type { ObserveVerification, ObserveWatch } from '../../rpc/http/v1/rooms.ts';
import type { GivingMeter } from '../../rpc/http/v1/snapshot-route.ts';
import type { Membership, Meter, NodeState, NodeStatus } from '../ports.ts';
import type { SweepMeter, SweptKind } from '../replica/sweeping.ts';

export interface MetricsOptions {
  readonly version: string;
  readonly status: () => NodeStatus;
  readonly membership: () => Membership | undefined;
  readonly storeBytes: () => number;
  /** Open connections of the Avro face. */
  readonly avroConnections: () => number;
}

export interface Metrics {
  readonly meter: Meter;
  readonly sweepMeter: SweepMeter;
  /** Of stores taken from other nodes, and given to them. */
  readonly seedMeter: SeedMeter;
  readonly givingMeter: GivingMeter;
  observeHttp(route: string, method: string, status: number, seconds: number): void;
  observeAvro(message: string, outcome: string, seconds: number): void;
  observePeer(outcome: string): void;
  readonly observeWatch: ObserveWatch;
  readonly observeVerification: ObserveVerification;
  render(): Promise<{ contentType: string; body: string }>;
}

const states: readonly NodeState[] = ['starting', 'restoring', 'ready', 'stuck', 'draining', 'stopped'];
const fast = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges that call themselves totals: `promtool check metrics` refuses them.
  for (const name of ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']) {
    registry.removeSingleMetric(name);
  }
  gauges(registry, options);
  const registers = [registry];
  const applied = new Counter({
    name: 'bitacora_log_records_applied_total',
    help: 'Records applied, by operation',
    labelNames: ['op'],
    registers,
  });
  const skipped = new Counter({
    name: 'bitacora_log_records_skipped_total',
    help: 'Records that could not be understood, by reason',
    labelNames: ['reason'],
    registers,
  });
  const appends = new Histogram({
    name: 'bitacora_log_append_duration_seconds',
    help: 'Time from a write to the answer of the log, by outcome',
    labelNames: ['outcome'],
    buckets: fast,
    registers,
  });
  const delay = new Histogram({
    name: 'bitacora_apply_delay_seconds',
    help: 'Log time of a record to visible on this node',
    buckets: [...fast, 10, 60, 600],
    registers,
  });
  const reads = new Counter({
    name: 'bitacora_reads_total',
    help: 'Reads, by where the answer came from and what it was',
    labelNames: ['source', 'outcome'],
    registers,
  });
  const rebuilds = new Counter({
    name: 'bitacora_store_rebuilds_total',
    help: 'Times the local state was set aside and rebuilt, by reason',
    labelNames: ['reason'],
    registers,
  });
  const peers = new Counter({
    name: 'bitacora_peer_requests_total',
    help: 'Questions to other nodes, by outcome',
    labelNames: ['outcome'],
    registers,
  });
  const http = new Histogram({
    name: 'bitacora_http_request_duration_seconds',
    help: 'HTTP requests, by route, method and status code',
    labelNames: ['route', 'method', 'code'],
    buckets: fast,
    registers,
  });
  const avro = new Histogram({
    name: 'bitacora_avro_request_duration_seconds',
    help: 'Avro calls, by message and outcome (ok, or an error code)',
    labelNames: ['message', 'outcome'],
    buckets: fast,
    registers,
  });
  // Looking a labelled child up costs more than observing it, and the hot read is observed tens of thousands of times a second.
  const children = new Map<string, { observe(seconds: number): void }>();
  const avroChildren = new Map<string, { observe(seconds: number): void }>();
  const localHit = reads.labels('local', 'hit');
  return {
    meter: {
      applied: (op, count) => applied.inc({ op }, count),
      skipped: (reason) => skipped.inc({ reason }),
      appended: (seconds, outcome) => appends.observe({ outcome }, seconds),
      applyDelay: (seconds) => delay.observe(seconds),
      read: (source, outcome) => (source === 'local' && outcome === 'hit' ? localHit.inc() : reads.inc({ source, outcome })),
      rebuilt: (reason) => rebuilds.inc({ reason }),
    },
    observeAvro(message, outcome, seconds) {
      const name = `${message} ${outcome}`;
      let child = avroChildren.get(name);
      if (child === undefined) {
        child = avro.labels(message, outcome);
        avroChildren.set(name, child);
      }
      child.observe(seconds);
    },
    observePeer: (outcome) => peers.inc({ outcome }),
    sweepMeter: sweeps(registry),
    seedMeter: seedsTaken(registry),
    givingMeter: seedsGiven(registry),
    observeWatch: watches(registry),
    observeVerification: verifications(registry),
    observeHttp(route, method, status, seconds) {
      const name = `${route} ${method} ${status}`;
      let child = children.get(name);
      if (child === undefined) {
        child = http.labels(route, method, String(status));
        children.set(name, child);
      }
      child.observe(seconds);
    },
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

/** What is asked for when it is scraped. */
function gauges(registry: Registry, options: MetricsOptions): void {
  const { status } = options;
  const gauge = (name: string, help: string, value: () => number) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  };
  const perPartition = (name: string, help: string, value: (status: NodeStatus, partition: number) => number) => {
    new Gauge({
      name,
      help,
      labelNames: ['partition'],
      registers: [registry],
      collect() {
        const now = status();
        for (const partition of now.applied.keys()) this.set({ partition }, value(now, partition));
      },
    });
  };
  const info = new Gauge({
    name: 'bitacora_build_info',
    help: 'Version of the node',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  });
  info.set({ version: options.version, node_version: process.version }, 1);
  gauge('bitacora_ready', '1 when reads are answered: /readyz is 200', () => Number(status().ready || status().stale));
  gauge('bitacora_log_connected', '1 when the log answers', () => Number(status().log === 'connected'));
  gauge('bitacora_log_sealed', '1 when the log takes no writes because it is sealed', () => Number(status().sealed));
  gauge('bitacora_log_lag_seconds', 'How long this node has not known itself at the end of the log', () => status().lagMs / 1_000);
  gauge('bitacora_restore_progress_ratio', 'Progress of catching up, by position, 0 to 1', () => status().progress);
  gauge('bitacora_keys', 'Entries held, expiry markers and the system’s own included', () => status().entries);
  gauge('bitacora_avro_connections', 'Open connections of the Avro face', options.avroConnections);
  gauge('bitacora_store_size_bytes', 'Size of the local database', options.storeBytes);
  perPartition('bitacora_log_applied_offset', 'Offset up to which the log is applied', (now, partition) => now.applied[partition] ?? 0);
  perPartition('bitacora_log_end_offset', 'End of the log as last asked', (now, partition) => now.ends[partition] ?? 0);
  perPartition('bitacora_log_lag_records', 'Offsets between the two', (now, partition) => {
    return Math.max(0, (now.ends[partition] ?? 0) - (now.applied[partition] ?? 0));
  });
  new Gauge({
    name: 'bitacora_node_state',
    help: '1 for the state the node is in',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const now = status().state;
      for (const state of states) this.set({ state }, Number(state === now));
    },
  });
  new Gauge({
    name: 'bitacora_members',
    help: 'Nodes known, this one left out, by the state of the membership',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const membership = options.membership();
      this.reset();
      if (membership !== undefined) this.set({ state: membership.state }, membership.others.length);
    },
  });
}

function verifications(registry: Registry): ObserveVerification {
  const registers = [registry];
  const runs = new Counter({
    name: 'bitacora_verifications_total',
    help: 'Verifications begun by this node, by whether all nodes agreed.',
    labelNames: ['result'],
    registers,
  });
  const differing = new Gauge({
    name: 'bitacora_verification_differing_nodes',
    help: 'Nodes that held something else than most in the last verification begun by this node.',
    registers,
  });
  return (agree, count) => {
    runs.inc({ result: agree ? 'agree' : 'disagree' });
    differing.set(count);
  };
}

function watches(registry: Registry): ObserveWatch {
  const registers = [registry];
  const open = new Gauge({ name: 'bitacora_watchers', help: 'Open watches, by transport', labelNames: ['transport'], registers });
  const told = new Counter({ name: 'bitacora_watch_events_total', help: 'Events told to watchers', registers });
  const cut = new Counter({ name: 'bitacora_watch_dropped_total', help: 'Watchers cut off because they took nothing', registers });
  return (what, transport) => {
    if (what === 'told') told.inc();
    else if (what === 'cut') cut.inc();
    else open.inc({ transport }, what === 'opened' ? 1 : -1);
  };
}

function seedsTaken(registry: Registry): SeedMeter {
  const registers = [registry];
  const now = new Gauge({ name: 'bitacora_seed_taking', help: '1 while the store of another node is being taken', registers });
  const asked = new Counter({
    name: 'bitacora_seed_asked_total',
    help: 'Nodes asked for their store, by what came of it',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['taken', 'refused', 'broken', 'slow', 'lied', 'failed'] as const) asked.inc({ outcome }, 0);
  const rows = new Counter({ name: 'bitacora_seed_taken_rows_total', help: 'Rows taken from the stores of other nodes', registers });
  const bytes = new Counter({ name: 'bitacora_seed_taken_bytes_total', help: 'Bytes of those rows', registers });
  return {
    taking: (on) => now.set(Number(on)),
    took(count, size) {
      rows.inc(count);
      bytes.inc(size);
    },
    asked: (outcome) => asked.inc({ outcome }),
  };
}

function seedsGiven(registry: Registry): GivingMeter {
  const registers = [registry];
  const given = new Counter({
    name: 'bitacora_seed_given_total',
    help: 'Snapshots of this store that other nodes asked for, by what became of them',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['taken', 'refused', 'unreadable', 'too-old', 'taker-gone', 'draining'] as const) given.inc({ outcome }, 0);
  const bytes = new Counter({ name: 'bitacora_seed_given_bytes_total', help: 'Bytes of rows sent to other nodes', registers });
  return { sent: (size) => bytes.inc(size), ended: (outcome) => given.inc({ outcome }) };
}

function sweeps(registry: Registry): SweepMeter {
  const registers = [registry];
  const swept = new Counter({ name: 'bitacora_swept_total', help: 'Tombstones written, by kind', labelNames: ['kind'], registers });
  for (const kind of ['deleted', 'expired'] satisfies SweptKind[]) swept.inc({ kind }, 0);
  const passes = new Counter({
    name: 'bitacora_sweep_passes_total',
    help: 'Passes through the store, by outcome',
    labelNames: ['outcome'],
    registers,
  });
  const last = (name: string, help: string): Gauge => new Gauge({ name: `bitacora_sweep_last_pass_${name}`, help, registers });
  const at = last('timestamp_seconds', 'When the last pass ended, in seconds since the epoch');
  const seconds = last('duration_seconds', 'How long the last pass took');
  const rate = last('tombstones_per_second', 'Tombstones a second that the last pass wrote');
  const waiting = last('waiting_keys', 'Keys that were due in the last pass and are not settled yet');
  return {
    swept: (kind) => swept.inc({ kind }),
    passed(pass) {
      passes.inc({ outcome: pass.outcome });
      at.setToCurrentTime();
      seconds.set(pass.seconds);
      rate.set(pass.seconds === 0 ? 0 : pass.swept / pass.seconds);
      waiting.set(pass.waiting);
    },
  };
}
