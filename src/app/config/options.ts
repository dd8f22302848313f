/**
 * The one option table. The parser, `serve --help` and docs/configuration.md are made from it; a test holds the page equal to it.
 *
 * A setting NAME is read, first found wins, from the flag `--name-with-hyphens`, the variable `BITACORA_NAME`, for some (`bare`) the
 * original's variable `NAME`, the config file's key `name.with.dots`, and its default. In flags and keys `-`, `.` and `_` are the same.
 */

export interface Option {
  readonly name: string;
  readonly type: 'text' | 'list' | 'integer' | 'flag';
  /** As it would be written; empty: none. */
  readonly default: string;
  readonly unit?: 'ms' | 'bytes' | 'MB/s';
  /** The name alone works too, without `BITACORA_`: the original's settings, and a few short ones. */
  readonly bare?: true;
  readonly choices?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  /** May be given as `NAME_FILE`, a file that holds it, and is never printed. */
  readonly secret?: true;
  readonly meaning: string;
}

const day = 24 * 60 * 60 * 1_000;

export const options = [
  {
    name: 'LOG',
    type: 'text',
    default: '',
    bare: true,
    choices: ['embedded', 'kafka', 'memory'],
    meaning: 'where the log is; unset: kafka when BROKER_LIST or ZOOKEEPER_HOSTS is set, otherwise embedded',
  },
  { name: 'BROKER_LIST', type: 'list', default: '127.0.0.1:9092', bare: true, meaning: 'Kafka brokers to begin with, host:port,…' },
  {
    name: 'ZOOKEEPER_HOSTS',
    type: 'text',
    default: '127.0.0.1:2181',
    bare: true,
    meaning: 'ZooKeeper for membership, host:port,…[/path]; with BROKER_LIST alone there is none',
  },
  { name: 'API_PORT', type: 'integer', default: '8082', bare: true, min: 0, max: 65_535, meaning: 'port of the HTTP face' },
  {
    name: 'AVRO_PORT',
    type: 'integer',
    default: '',
    bare: true,
    min: 0,
    max: 65_535,
    meaning: 'port of the Avro face, 0: off; unset: API_PORT + 1',
  },
  {
    name: 'ZK_PORT',
    type: 'integer',
    default: '0',
    bare: true,
    min: 0,
    max: 65_535,
    meaning: 'port of the ZooKeeper-compatible face, 0: off; not served by this version',
  },
  {
    name: 'HTTP_HOST',
    type: 'text',
    default: '',
    meaning: 'address the faces listen on; unset: 0.0.0.0 with Kafka, otherwise 127.0.0.1, because nobody is asked for a password',
  },
  {
    name: 'NODE_ADDRESS',
    type: 'text',
    default: '',
    bare: true,
    meaning: 'host or host:port by which other nodes reach this one; `ecs`: ask AWS ECS; unset: the first address of this machine',
  },
  { name: 'MEMBERS', type: 'list', default: '', meaning: 'the nodes of a cluster without ZooKeeper, host:port,…; the same list for all' },
  { name: 'ZOOKEEPER_ROOT', type: 'text', default: '/bitacora', meaning: 'where the members stand in ZooKeeper' },
  { name: 'KAFKA_TOPIC', type: 'text', default: 'bitacora', bare: true, meaning: 'the topic that is the log' },
  { name: 'KAFKA_TOPIC_CREATE', type: 'flag', default: 'true', meaning: 'make the topic when it is missing' },
  {
    name: 'PARTITIONS',
    type: 'integer',
    default: '8',
    min: 1,
    max: 1_000,
    meaning: 'partitions of a log that is made; one that exists keeps its own',
  },
  {
    name: 'REPLICATION',
    type: 'integer',
    default: '0',
    min: 0,
    max: 32_767,
    meaning: 'replicas of a topic that is made; 0: min(brokers, 3)',
  },
  {
    name: 'COMPACTION_LAG',
    type: 'integer',
    default: String(60 * 60 * 1_000),
    unit: 'ms',
    min: 60_000,
    meaning: 'no record younger than this is compacted (min.compaction.lag.ms of a log that is made)',
  },
  {
    name: 'DELETE_RETENTION',
    type: 'integer',
    default: String(7 * day),
    unit: 'ms',
    min: 60_000,
    meaning: 'how long tombstones are kept (delete.retention.ms of a log that is made)',
  },
  {
    name: 'SWEEP_GRACE',
    type: 'integer',
    default: String(day),
    unit: 'ms',
    min: 1_000,
    meaning: 'how long a key has been gone before it is swept; below the log’s compaction lag, that lag',
  },
  {
    name: 'SWEEP_RATE',
    type: 'integer',
    default: '1000',
    min: 0,
    max: 100_000,
    meaning: 'tombstones a second that a node writes at most while it sweeps; 0: it does not sweep',
  },
  { name: 'KAFKA_TLS', type: 'flag', default: 'false', meaning: 'speak TLS to Kafka; NODE_EXTRA_CA_CERTS names further authorities' },
  {
    name: 'KAFKA_SASL_MECHANISM',
    type: 'text',
    default: '',
    choices: ['plain', 'scram-sha-256', 'scram-sha-512'],
    meaning: 'how to log in to Kafka; unset: not at all',
  },
  { name: 'KAFKA_SASL_USERNAME', type: 'text', default: '', meaning: 'name for it' },
  { name: 'KAFKA_SASL_PASSWORD', type: 'text', default: '', secret: true, meaning: 'password for it' },
  { name: 'DATA_DIR', type: 'text', default: './data', meaning: 'the local database, and the embedded log' },
  {
    name: 'CACHE_BYTES',
    type: 'integer',
    default: String(128 * 1024 * 1024),
    unit: 'bytes',
    min: 1_048_576,
    meaning: 'bound of the hashmap over the local database',
  },
  {
    name: 'EXTERNAL_REQUEST_TIMEOUT',
    type: 'integer',
    default: '60',
    unit: 'ms',
    bare: true,
    min: 1,
    max: 60_000,
    meaning: 'how long the other nodes are asked for a key that is missing here',
  },
  {
    name: 'PEER_READS',
    type: 'text',
    default: 'always',
    bare: true,
    choices: ['always', 'behind', 'never'],
    meaning: 'ask the other nodes on every miss, only while this node lags or does not know, or never',
  },
  {
    name: 'STALE_READS',
    type: 'flag',
    default: 'false',
    meaning: 'while the local state is made anew from the same log, answer reads from the one before, marked as stale, and count as ready',
  },
  { name: 'MAX_KEY_BYTES', type: 'integer', default: '1024', unit: 'bytes', min: 1, max: 16_384, meaning: 'longest key' },
  {
    name: 'MAX_VALUE_BYTES',
    type: 'integer',
    default: '1000000',
    unit: 'bytes',
    min: 1,
    max: 64 * 1024 * 1024,
    meaning: 'longest value; the topic’s max.message.bytes must allow it',
  },
  {
    name: 'WRITE_TIMEOUT',
    type: 'integer',
    default: '5000',
    unit: 'ms',
    min: 10,
    max: 600_000,
    meaning: 'how long a write waits for the log',
  },
  {
    name: 'SEED_RATE',
    type: 'integer',
    default: '64',
    unit: 'MB/s',
    min: 0,
    max: 10_000,
    meaning: 'how fast a node gives its store to nodes that are made anew, all together; 0: it gives it to none',
  },
  {
    name: 'MAX_BODIES_BYTES',
    type: 'integer',
    default: '268435456',
    unit: 'bytes',
    min: 1_000_000,
    meaning: 'bodies of all HTTP requests under way together; above it requests with a body get 503',
  },
  { name: 'MAX_CONNECTIONS', type: 'integer', default: '10000', min: 1, meaning: 'connections at once, of each face' },
  { name: 'MAX_HEADER_BYTES', type: 'integer', default: '16384', unit: 'bytes', min: 4_096, meaning: 'request line and headers' },
  { name: 'HEADERS_TIMEOUT', type: 'integer', default: '10000', unit: 'ms', min: 100, meaning: 'for the headers of a request to arrive' },
  {
    name: 'REQUEST_TIMEOUT',
    type: 'integer',
    default: '30000',
    unit: 'ms',
    min: 100,
    meaning: 'for a whole request to arrive, or an Avro frame, and for its client to take the answer',
  },
  {
    name: 'KEEP_ALIVE_TIMEOUT',
    type: 'integer',
    default: '65000',
    unit: 'ms',
    min: 100,
    meaning: 'idle HTTP connections; longer than the balancer’s',
  },
  {
    name: 'AVRO_MAX_FRAME_BYTES',
    type: 'integer',
    default: '',
    unit: 'bytes',
    min: 16_384,
    max: 1024 * 1024 * 1024,
    meaning: 'longest Avro frame, of a call and of an answer; unset: 16 MiB, or twice the longest key and value where that is more',
  },
  {
    name: 'AVRO_MAX_CALLS',
    type: 'integer',
    default: '1024',
    min: 1,
    max: 100_000,
    meaning: 'calls in flight on one Avro connection; above this it is not read',
  },
  {
    name: 'AVRO_IDLE_TIMEOUT',
    type: 'integer',
    default: '600000',
    unit: 'ms',
    min: 100,
    meaning: 'Avro connections without a call and without a byte for this long are closed',
  },
  {
    name: 'DRAIN_DELAY',
    type: 'integer',
    default: '0',
    unit: 'ms',
    min: 0,
    meaning: 'on SIGTERM: time between saying not ready and closing the door, for a balancer that polls',
  },
  {
    name: 'DRAIN_TIMEOUT',
    type: 'integer',
    default: '10000',
    unit: 'ms',
    min: 100,
    meaning: 'on SIGTERM: longest wait for what is in flight',
  },
  {
    name: 'LOG_LEVEL',
    type: 'text',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    meaning: 'lines below this are left out',
  },
  {
    name: 'LOG_FORMAT',
    type: 'text',
    default: 'auto',
    choices: ['auto', 'json', 'pretty'],
    meaning: 'auto: pretty on a terminal, JSON on a pipe',
  },
] as const satisfies readonly Option[];

export type OptionName = (typeof options)[number]['name'];

/** The flag of a setting. */
export const flagOf = (option: Option): string => `--${option.name.toLowerCase().replaceAll('_', '-')}`;

/** The config file's key of a setting. */
export const keyOf = (option: Option): string => option.name.toLowerCase().replaceAll('_', '.');

/** The environment variables of a setting, strongest first. */
export const variablesOf = (option: Option): string[] => [`BITACORA_${option.name}`, ...(option.bare ? [option.name] : [])];
