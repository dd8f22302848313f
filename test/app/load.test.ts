/** Where a setting comes from, and what is refused. */
import { describe, expect, test } from 'vitest';
import { serveHelp } from '../../src/app/config/help.ts';
import { loadSettings } from '../../src/app/config/load.ts';
import { flagOf, keyOf, options, variablesOf } from '../../src/app/config/options.ts';
import { configFrom, fileWith, refusal } from './settings.ts';

describe('precedence', () => {
  const yaml = 'api.port: 1';
  test('flag, then BITACORA_ variable, then the bare one, then the file, then the default', () => {
    const bare = { API_PORT: '2' };
    const both = { ...bare, BITACORA_API_PORT: '3' };
    expect(configFrom(['--api-port', '4'], both, yaml).httpPort).toBe(4);
    expect(configFrom([], both, yaml).httpPort).toBe(3);
    expect(configFrom([], bare, yaml).httpPort).toBe(2);
    expect(configFrom([], {}, yaml).httpPort).toBe(1);
    expect(configFrom().httpPort).toBe(8082);
  });

  test('an empty variable counts as not set', () => {
    expect(configFrom([], { BITACORA_API_PORT: '', API_PORT: '' }, yaml).httpPort).toBe(1);
    expect(configFrom([], { BROKER_LIST: '', ZOOKEEPER_HOSTS: '' }).log).toBe('embedded');
  });

  test('only the original’s names and a few short ones work bare', () => {
    expect(configFrom([], { DATA_DIR: '/elsewhere', PARTITIONS: '3' })).toMatchObject({ dataDirectory: './data', partitions: 8 });
    expect(configFrom([], { BITACORA_DATA_DIR: '/elsewhere', PEER_READS: 'never' })).toMatchObject({
      ...{ dataDirectory: '/elsewhere', peerReads: 'never' },
    });
  });

  test('the config file is named by a flag or by BITACORA_CONFIG; the flag wins', () => {
    const [one, two] = [fileWith('partitions: 2'), fileWith('partitions: 5')];
    expect(loadSettings([], { BITACORA_CONFIG: one }).integer('PARTITIONS')).toBe(2);
    expect(loadSettings(['--config', two], { BITACORA_CONFIG: one }).integer('PARTITIONS')).toBe(5);
  });
});

describe('ways to write', () => {
  test.each([
    ['a flag with dots', ['--external.request.timeout', '75'], {}, undefined],
    ['a flag with hyphens and =', ['--external-request-timeout=75'], {}, undefined],
    ['a flag with underscores, in capitals', ['--EXTERNAL_REQUEST_TIMEOUT', '75'], {}, undefined],
    ['the bare variable', [], { EXTERNAL_REQUEST_TIMEOUT: '75' }, undefined],
    ['the variable', [], { BITACORA_EXTERNAL_REQUEST_TIMEOUT: '75' }, undefined],
    ['the original’s key', [], {}, 'external.request.timeout: 75'],
    ['the key with underscores', [], {}, 'external_request_timeout: "75"'],
  ])('external.request.timeout as %s', (_, argv, env, yaml) => expect(configFrom(argv, env, yaml).peerTimeoutMs).toBe(75));

  test('lists by comma, spaces allowed, and as a list of the file', () => {
    expect(configFrom(['--members', 'a:1, b:2,,']).members).toEqual(['a:1', 'b:2']);
    expect(configFrom([], {}, 'members: [a:1, b:2]').members).toEqual(['a:1', 'b:2']);
  });

  test('a flag alone is true; with a value it is that', () => {
    expect(configFrom(['--kafka-tls']).kafkaTls).toBe(true);
    expect(configFrom(['--kafka-tls', '--api-port', '1'])).toMatchObject({ kafkaTls: true, httpPort: 1 });
    expect(configFrom(['--kafka-topic-create', 'false']).topicCreate).toBe(false);
    expect(configFrom([], {}, 'kafka.tls: true').kafkaTls).toBe(true);
  });

  test('a value may hold =, and may begin with hyphens after one', () => {
    expect(configFrom(['--data-dir=/a=b']).dataDirectory).toBe('/a=b');
    expect(configFrom(['--data-dir=--odd']).dataDirectory).toBe('--odd');
  });

  test('a secret may lie in a file; the variable itself wins', () => {
    const path = fileWith('s3cret\n', 'password');
    const sasl = { BITACORA_KAFKA_SASL_MECHANISM: 'plain', BITACORA_KAFKA_SASL_USERNAME: 'u', BITACORA_KAFKA_SASL_PASSWORD_FILE: path };
    expect(configFrom([], sasl).kafkaSasl).toEqual({ mechanism: 'plain', username: 'u', password: 's3cret' });
    expect(configFrom([], { ...sasl, BITACORA_KAFKA_SASL_PASSWORD: 'direct' }).kafkaSasl?.password).toBe('direct');
    expect(refusal([], { ...sasl, BITACORA_KAFKA_SASL_PASSWORD_FILE: '/nowhere/at/all' })).toContain('/nowhere/at/all');
  });
});

describe('refused', () => {
  test.each<[string, string[], Record<string, string>, string | undefined, string[]]>([
    ['an unknown flag', ['--api-prt', '1'], {}, undefined, ['--api-prt', 'did you mean --api-port?']],
    ['a mistyped --config', ['--confg', 'x'], {}, undefined, ['did you mean --config?']],
    ['an unknown variable', [], { BITACORA_API_PROT: '1' }, undefined, ['BITACORA_API_PROT', 'did you mean BITACORA_API_PORT?']],
    ['a variable like none', [], { BITACORA_COMPLETELY_OTHER: '1' }, undefined, ['BITACORA_COMPLETELY_OTHER', 'serve --help']],
    ['an unknown key', [], {}, 'api.prt: 1', ['api.prt', 'did you mean api.port?']],
    ['a word that is no setting', ['8082'], {}, undefined, ['"8082" is not a setting']],
    ['a flag without its value', ['--api-port'], {}, undefined, ['--api-port needs a value']],
    ['the next flag in the place of a value', ['--data-dir', '--kafka-tls'], {}, undefined, ['--data-dir needs a value']],
    ['a text for a number', ['--api-port', '80x'], {}, undefined, ['--api-port is "80x"', 'from 0 to 65535']],
    ['too large', [], { API_PORT: '65536' }, undefined, ['API_PORT is "65536"']],
    ['negative', ['--api-port=-1'], {}, undefined, ['whole number']],
    ['beyond any number', ['--cache-bytes', '9'.repeat(400)], {}, undefined, ['whole number']],
    ['too small, with its unit', ['--compaction-lag', '1'], {}, undefined, ['from 60000 (ms)']],
    ['a number with a fraction', [], {}, 'api.port: 80.5', ['api.port in', '"80.5"']],
    ['a word outside the choices', ['--peer-reads', 'sometimes'], {}, undefined, ['always, behind, never']],
    ['neither true nor false', ['--kafka-tls', 'yes'], {}, undefined, ['true or false']],
    ['an empty list', ['--broker-list', ' , '], {}, undefined, ['--broker-list is empty']],
    ['an empty number', ['--api-port='], {}, undefined, ['--api-port is empty']],
    ['a file that is not there', ['--config', '/nowhere/at/all'], {}, undefined, ['/nowhere/at/all', 'cannot be read']],
    ['a file that is no YAML', [], {}, 'a: [', ['is not YAML']],
    ['a file without keys', [], {}, '- api.port', ['must hold keys and values']],
    ['a key with an object', [], {}, 'members: {a: 1}', ['members in', 'no usable value']],
    ['a list of members beside ZooKeeper', ['--members', 'a:1', '--zookeeper-hosts', 'z:2181'], {}, undefined, ['exclude each other']],
    ['a login without a name', ['--kafka-sasl-mechanism', 'plain'], {}, undefined, ['KAFKA_SASL_USERNAME']],
  ])('%s', (_, argv, env, yaml, parts) => {
    const line = refusal(argv, env, yaml);
    for (const part of parts) expect(line).toContain(part);
    expect(line).not.toContain('\n');
  });

  test('a foreign variable is none of ours', () => {
    expect(configFrom([], { PATH: '/bin', HOME: '/', BITACORAX: '1' }).httpPort).toBe(8082);
  });
});

describe('the table', () => {
  test('every option stands in the help, with its flag, its meaning and its default', () => {
    const help = serveHelp();
    for (const option of options) {
      expect(help).toMatch(new RegExp(`^  ${flagOf(option)} `, 'm'));
      expect(help).toContain(option.meaning);
      if (option.default !== '') expect(help).toContain(`(default ${option.default}`);
    }
  });

  test('names are unique, defaults are good values, and every way to write a name is read', () => {
    expect(new Set(options.map(({ name }) => name)).size).toBe(options.length);
    for (const option of options) {
      const { name, type } = option;
      const fallback =
        option.default ||
        ('choices' in option
          ? option.choices[0]
          : type === 'integer'
            ? String('min' in option ? Math.max(1, option.min) : 1)
            : type === 'flag'
              ? 'true'
              : 'x');
      for (const variable of variablesOf(option)) expect(loadSettings([], { [variable]: fallback }).given(name)).toBe(true);
      expect(loadSettings([`${flagOf(option)}=${fallback}`], {}).text(name)).toBe(fallback);
      expect(loadSettings(['--config', fileWith(`${keyOf(option)}: "${fallback}"`)], {}).text(name)).toBe(fallback);
    }
  });
});
