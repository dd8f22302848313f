/** `bitacora move-log`: what differs between two logs, and a move between two nodes: under load, lost changes, a wrong target, no target. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { moveLog } from '../../src/app/move-log-command.ts';
import { type Change, differences } from '../../src/app/move-log-differences.ts';
import { covers, newest } from '../../src/app/move-log-follow.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Millis, Offset } from '../../src/ports.ts';
import type { ExportItem } from '../../wire/export-reader.ts';
import { address, node, refusing } from '../client-http/setting.ts';
import { createMemoryKeyValue, type MemoryKeyValue } from '../rpc/memory-key-value.ts';
import { contentsOf, directory } from './backup-setting.ts';

type State = ReadonlyMap<string, Omit<ExportItem, 'key'>>;

const listed = async function* (state: State): AsyncGenerator<ExportItem> {
  const keys = [...state.keys()].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  for (const key of keys) yield { key, ...(state.get(key) as Omit<ExportItem, 'key'>) };
};

const stateArbitrary = fc
  .array(
    fc.record({
      // Few keys, so that both sides have many in common; some sort otherwise as bytes than as UTF-16.
      key: fc.constantFrom('a', 'b', 'c', 'a/b', 'ab', 'é', '￮', '😀', 'z'),
      value: fc.constantFrom('', '1', '2').map((text) => Buffer.from(text)),
      contentType: fc.constantFrom(undefined, 'text/plain'),
      expires: fc.constantFrom(undefined, 1_900_000_000_000),
    }),
  )
  .map((items): State => new Map(items.map(({ key, ...rest }) => [key, rest])));

describe('differences', () => {
  test('carried out, they make the target what the source is; and there is one for each key that is not the same, and no other', async () => {
    await fc.assert(
      fc.asyncProperty(stateArbitrary, stateArbitrary, async (source, target) => {
        const result = new Map(target);
        const changed: string[] = [];
        for await (const change of differences(listed(source), listed(target))) {
          changed.push(change.op === 'put' ? change.item.key : change.key);
          if (change.op === 'delete') result.delete(change.key);
          else {
            const { key, ...rest } = change.item;
            result.set(key, rest);
          }
        }
        const sorted = (state: State) => [...state].sort(([one], [other]) => (one < other ? -1 : 1));
        expect(sorted(result)).toEqual(sorted(source));
        const text = (state: State, key: string) => JSON.stringify(state.get(key));
        const differing = [...new Set([...source.keys(), ...target.keys()])].filter((key) => text(source, key) !== text(target, key));
        expect(changed.toSorted()).toEqual(differing.toSorted());
      }),
    );
  });

  test('both listings are ended when nobody wants more', async () => {
    const ended: string[] = [];
    const endless = async function* (name: string): AsyncGenerator<ExportItem> {
      try {
        for (let i = 0; ; i++)
          yield { key: `${name}${String(i).padStart(9, '0')}`, value: Buffer.from(''), contentType: undefined, expires: undefined };
      } finally {
        ended.push(name);
      }
    };
    for await (const change of differences(endless('a'), endless('b'))) if (change.op === 'put') break;
    expect(ended.sort()).toEqual(['a', 'b']);
  });
});

test('of the changes of one question only the newest of a key counts', () => {
  const put = (key: string, value: string) => ({ event: 'put', key, value, content_type: null, expires: null, version: '0:1' });
  const changes = newest([
    put('a', '1'),
    put('b', '1'),
    { event: 'delete', key: 'a' },
    put('b', '2'),
    { event: 'delete', key: 'c' },
    put('c', '3'),
  ]);
  const told = [...changes.values()].map((change: Change) =>
    change.op === 'delete' ? change.key : `${change.item.key}=${Buffer.from(change.item.value)}`,
  );
  expect(told).toEqual(['a', 'b=2', 'c=3']);
});

test.each([
  ['0:4,1:7@aaaaaaaa', '0:4,1:7@aaaaaaaa', true],
  ['0:5,1:7,2:1@aaaaaaaa', '0:4@aaaaaaaa', true],
  ['0:3,1:9@aaaaaaaa', '0:4,1:7@aaaaaaaa', false],
  ['0:4@aaaaaaaa', '0:4,1:0@aaaaaaaa', false],
  ['', '0:0@aaaaaaaa', false],
])('who has seen %j has seen %j: %j', (position, other, is) => {
  expect(covers(position, other)).toBe(is);
});

// ---------------------------------------------------------------- between two nodes

interface Side {
  readonly keyValue: MemoryKeyValue;
  readonly url: string;
}

/** A node of a log of its own, which takes no write once it is sealed. */
async function side(genesis: string): Promise<Side> {
  const keyValue = createMemoryKeyValue(2);
  const put = keyValue.put.bind(keyValue);
  keyValue.put = async (key, value, options) => {
    if (keyValue.sealedTo !== undefined) throw new BitacoraError('log-sealed', 'sealed');
    return put(key, value, options);
  };
  const [seal, unseal] = [keyValue.seal.bind(keyValue), keyValue.unseal.bind(keyValue)];
  keyValue.seal = async (to) => {
    const told = await seal(to);
    keyValue.statusChange = { ...keyValue.statusChange, sealed: true };
    return told;
  };
  keyValue.unseal = async () => {
    await unseal();
    keyValue.statusChange = { ...keyValue.statusChange, sealed: false };
  };
  const { port } = await node(keyValue);
  keyValue.statusChange = { genesis };
  return { keyValue, url: address(port) };
}

const [oldLog, newLog] = ['aaaaaaaa-0000', 'bbbbbbbb-0000'];

async function sides(): Promise<{ old: Side; fresh: Side }> {
  return { old: await side(oldLog), fresh: await side(newLog) };
}

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await moveLog(argv, {
    env: {},
    input: Readable.from([]),
    out: {
      write: (text, done) => {
        out += String(text);
        done?.();
      },
    },
    err: { write: (text) => (err += text) },
  });
  return { code, out, err };
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const of = { bitacora: 'move-log', format: 1 };

/** Done before the n-th call of a method; the calls after it come through. */
function beforeCall<M extends 'seal' | 'list'>({ keyValue }: Side, method: M, nth: number, work: () => Promise<unknown>): void {
  const call = keyValue[method].bind(keyValue) as (...given: unknown[]) => unknown;
  let calls = 0;
  const counting = async (...given: unknown[]): Promise<unknown> => {
    if (++calls === nth) await work();
    return call(...given);
  };
  Object.assign(keyValue, { [method]: counting });
}

async function fill({ keyValue }: Side, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await keyValue.put(`k/${String(i).padStart(5, '0')}`, bytesOf(`${i}`));
}

describe('a move', () => {
  test('brings values, types and deadlines, seals the old log, and says so', async () => {
    const { old, fresh } = await sides();
    const state = (await directory())('state');
    await fill(old, 1_500);
    await old.keyValue.put('typed', Buffer.of(0xff, 0x00), { contentType: 'image/x', expires: (Date.now() + 3_600_000) as Millis });
    const { code, err } = await run('--from', old.url, '--to', fresh.url, '--resume', state);
    expect([code, err]).toEqual([0, expect.stringMatching(/^moved 1,501 keys from .*: 1,501 values written, 0 deleted$/m)]);
    expect(await contentsOf(fresh.keyValue)).toEqual(await contentsOf(old.keyValue));
    expect(old.keyValue.sealedTo).toBe(fresh.url);
    const logs = { from: oldLog, to: newLog, url: fresh.url };
    expect(JSON.parse(await readFile(state, 'utf8'))).toEqual({ ...of, ...logs, run: expect.any(String), phase: 'done' });
  });

  test.each([[[]], [['--quick']]])('while somebody writes and deletes, up to the seal, with %j', async (flags) => {
    const { old, fresh } = await sides();
    await fill(old, 300);
    let sealed = false;
    const writing = (async () => {
      for (let i = 0; !sealed && i < 20_000; i++) {
        const key = `k/${String(i % 400).padStart(5, '0')}`;
        const work = i % 7 === 0 ? old.keyValue.delete(key) : old.keyValue.put(key, bytesOf(`again ${i}`));
        await work.catch(() => {
          sealed = true;
        });
        if (old.keyValue.sealedTo !== undefined) sealed = true;
        await new Promise(setImmediate);
      }
    })();
    const { code } = await run('--from', old.url, '--to', fresh.url, ...flags);
    await writing;
    expect(code).toBe(0);
    expect(await contentsOf(fresh.keyValue)).toEqual(await contentsOf(old.keyValue));
  });

  test('changes that cannot be told any more are found by comparing', async () => {
    const { old, fresh } = await sides();
    await fill(old, 20);
    const seal = old.keyValue.seal.bind(old.keyValue);
    old.keyValue.seal = async (to) => {
      if (old.keyValue.sealedTo === undefined) {
        await old.keyValue.delete('k/00003');
        await old.keyValue.put('late', bytesOf('v'));
        old.keyValue.watches.forget();
      }
      return seal(to);
    };
    const { code, err } = await run('--from', old.url, '--to', fresh.url);
    expect([code, err]).toEqual([0, expect.stringContaining('compared 20 keys: 2 differences')]);
    expect(await contentsOf(fresh.keyValue)).toEqual(await contentsOf(old.keyValue));
  });

  test('a value that was over before it could be copied leaves nothing older behind', async () => {
    const { old, fresh } = await sides();
    await fill(old, 5);
    const seal = old.keyValue.seal.bind(old.keyValue);
    old.keyValue.seal = async (to) => {
      if (old.keyValue.sealedTo === undefined) {
        const expires = (Date.now() + 1) as Millis;
        await old.keyValue.put('k/00003', bytesOf('short'), { expires });
        while (Date.now() <= expires) await new Promise(setImmediate);
      }
      return seal(to);
    };
    expect((await run('--from', old.url, '--to', fresh.url, '--quick')).code).toBe(0);
    expect([...(await contentsOf(fresh.keyValue)).keys()]).toEqual(['k/00000', 'k/00001', 'k/00002', 'k/00004']);
  });

  test('a record that came behind the seal after all is brought, too', async () => {
    const { old, fresh } = await sides();
    await fill(old, 5);
    const seal = old.keyValue.seal.bind(old.keyValue);
    let asked = 0;
    old.keyValue.seal = async (to) => {
      if (++asked === 2) {
        old.keyValue.sealedTo = undefined;
        await old.keyValue.put('late', bytesOf('v'));
      }
      return seal(to);
    };
    expect((await run('--from', old.url, '--to', fresh.url)).code).toBe(0);
    expect((await contentsOf(fresh.keyValue)).has('late')).toBe(true);
    expect(asked).toBeGreaterThanOrEqual(3);
  });

  test('one that broke off goes on with its state, and one that is done is not done again', async () => {
    const { old, fresh } = await sides();
    const state = (await directory())('state');
    await fill(old, 50);
    fresh.keyValue.failures.set('k/00040', new BitacoraError('value-too-large', 'too large'));
    const broken = await run('--from', old.url, '--to', fresh.url, '--resume', state);
    expect([broken.code, broken.err]).toEqual([2, expect.stringMatching(/value-too-large: "k\/00040".*\n.*goes on with it\n.*--undo/)]);
    expect(old.keyValue.sealedTo).toBeUndefined();
    fresh.keyValue.failures.clear();
    await old.keyValue.delete('k/00001');
    expect((await run('--from', old.url, '--to', fresh.url)).code).toBe(4);
    expect((await run('--from', old.url, '--to', fresh.url, '--resume', state)).code).toBe(0);
    expect(await contentsOf(fresh.keyValue)).toEqual(await contentsOf(old.keyValue));
    await fresh.keyValue.put('new caller', bytesOf('v'));
    const again = await run('--from', old.url, '--to', fresh.url, '--resume', state);
    expect([again.code, again.err]).toEqual([0, expect.stringContaining('moved already')]);
    expect((await contentsOf(fresh.keyValue)).has('new caller')).toBe(true);
  });

  test.each([
    ['while it copies', 'list', 1],
    ['behind the seal', 'seal', 1],
    ['when it has compared everything', 'seal', 2],
  ] as const)('one that sleeps %s while another run ends it writes nothing when it wakes', async (_, method, nth) => {
    const { old, fresh } = await sides();
    const state = (await directory())('state');
    await fill(old, 20);
    const argv = ['--from', old.url, '--to', fresh.url, '--resume', state];
    beforeCall(old, method, nth, async () => {
      expect((await run(...argv)).code).toBe(0);
      // Callers are on the new log now.
      await fresh.keyValue.put('k/00003', bytesOf('newer'));
      await fresh.keyValue.put('new caller', bytesOf('v'));
    });
    const { code, err } = await run(...argv);
    expect([code, err]).toEqual([4, expect.stringMatching(/not of this run any more, another run has ended this move/)]);
    const found = await contentsOf(fresh.keyValue);
    expect([found.size, Buffer.from((await fresh.keyValue.read('k/00003')).found?.value ?? []).toString()]).toEqual([21, 'newer']);
    expect(JSON.parse(await readFile(state, 'utf8'))).toMatchObject({ phase: 'done' });
  });

  test.each([
    [true, []],
    [true, ['--quick']],
    [false, []],
    [false, ['--quick']],
  ])('when the old log is replaced under it, by one with records: %j, nothing is deleted, with %j', async (records, flags) => {
    const { old, fresh } = await sides();
    await fill(old, 20);
    // The first listing is of the copy.
    beforeCall(old, 'list', 2, async () => {
      for (const key of (await contentsOf(old.keyValue)).keys()) await old.keyValue.delete(key);
      const applied = records ? {} : { applied: [0, 0] as Offset[], ends: [0, 0] as Offset[] };
      old.keyValue.statusChange = { ...old.keyValue.statusChange, ...applied, genesis: 'cccccccc-0000' };
    });
    const { code, err } = await run('--from', old.url, '--to', fresh.url, ...flags);
    expect([code, err]).toEqual([4, expect.stringContaining(`the log of ${old.url} was replaced by another one`)]);
    expect((await contentsOf(fresh.keyValue)).size).toBe(20);
  });

  test('--undo opens the old log again', async () => {
    const { old, fresh } = await sides();
    await fill(old, 3);
    expect((await run('--from', old.url, '--to', fresh.url)).code).toBe(0);
    const { code, err } = await run('--from', old.url, '--undo');
    expect([code, err]).toEqual([0, expect.stringContaining('takes writes again')]);
    expect(old.keyValue.sealedTo).toBeUndefined();
  });
});

describe('what is refused, with nothing touched', () => {
  test('a new log with keys in it, whatever the state is of', async () => {
    const { old, fresh } = await sides();
    await fill(old, 3);
    await fresh.keyValue.put('mine', bytesOf('v'));
    const state = (await directory())('state');
    for (const more of [[], ['--resume', state]]) {
      const { code, err } = await run('--from', old.url, '--to', fresh.url, ...more);
      expect([code, err]).toEqual([4, expect.stringContaining('a move goes to an empty log')]);
    }
    const wrong: [object, string][] = [
      [{ ...of, from: oldLog, to: 'other', url: 'u', run: 'r', phase: 'copying' }, 'to another log'],
      [{ ...of, from: 'other', to: newLog, url: 'u', run: 'r', phase: 'copying' }, 'from another log'],
      [{ ...of, from: oldLog, to: newLog, phase: 'copying' }, 'no state of a move'],
      [{ bitacora: 'import' }, 'no state of a move'],
    ];
    for (const [content, said] of wrong) {
      await writeFile(state, JSON.stringify(content));
      const { code, err } = await run('--from', old.url, '--to', fresh.url, '--resume', state);
      expect([code, err]).toEqual([2, expect.stringContaining(said)]);
    }
    expect([...(await contentsOf(fresh.keyValue)).keys()]).toEqual(['mine']);
    expect(old.keyValue.sealedTo).toBeUndefined();
  });

  test('a log that was sealed for another place, before or meanwhile', async () => {
    const { old, fresh } = await sides();
    const other = await side('cccccccc-0000');
    await fill(old, 3);
    expect((await run('--from', old.url, '--to', other.url)).code).toBe(0);
    const state = (await directory())('state');
    for (const more of [[], ['--resume', state]]) {
      const { code, err } = await run('--from', old.url, '--to', fresh.url, ...more);
      expect([code, err]).toEqual([4, expect.stringContaining(`sealed by another move, to ${other.url}`)]);
    }
    expect([existsSync(state), fresh.keyValue.written]).toEqual([false, []]);

    await old.keyValue.unseal();
    beforeCall(old, 'seal', 1, () => old.keyValue.seal(other.url));
    const { code, err } = await run('--from', old.url, '--to', fresh.url, '--resume', state);
    expect([code, err]).toEqual([4, expect.stringContaining(`sealed by another move, to ${other.url}`)]);
    // The state says nothing else when it is asked again.
    expect((await run('--from', old.url, '--to', fresh.url, '--resume', state)).code).toBe(4);
  });

  test('a log that takes writes again after its move was done', async () => {
    const { old, fresh } = await sides();
    const state = (await directory())('state');
    await fill(old, 3);
    expect((await run('--from', old.url, '--to', fresh.url, '--resume', state)).code).toBe(0);
    expect((await run('--from', old.url, '--undo')).code).toBe(0);
    await old.keyValue.put('k/00001', bytesOf('later'));
    const written = [...fresh.keyValue.written];
    const { code, err } = await run('--from', old.url, '--to', fresh.url, '--resume', state);
    expect([code, err]).toEqual([4, expect.stringMatching(/moved already.*takes writes again.*with another file/)]);
    expect([old.keyValue.sealedTo, fresh.keyValue.written]).toEqual([undefined, written]);
  });

  test.each([
    [3_600_000, 'ahead of'],
    [-3_600_000, 'behind'],
  ])('a clock that is %d ms ahead of those of the nodes: deadlines are judged by it', async (aheadMs, said) => {
    const { old, fresh } = await sides();
    await fill(old, 3);
    // Nodes tell the time of `new Date()`.
    const now = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + aheadMs);
    onTestFinished(() => clock.mockRestore());
    const { code, err } = await run('--from', old.url, '--to', fresh.url);
    expect([code, err]).toEqual([2, expect.stringMatching(new RegExp(`clock of this machine is 3,\\d{3} s ${said} that of ${old.url}`))]);
    expect([old.keyValue.sealedTo, fresh.keyValue.written]).toEqual([undefined, []]);
  });

  test('nodes of one log, one that is not ready, one that nobody listens at', async () => {
    const { old } = await sides();
    expect((await run('--from', old.url, '--to', old.url)).err).toContain('one and the same log');
    const young = await side(newLog);
    young.keyValue.statusChange = { genesis: undefined };
    expect((await run('--from', old.url, '--to', young.url)).err).toContain('not ready');
    expect((await run('--from', old.url, '--to', address(await refusing()))).code).toBe(5);
  });

  test.each([
    [[], /--from URL is needed/],
    [['--from', 'a:1'], /--to URL is needed/],
    [['--from', 'a:1', '--to', 'b:1', '--undo'], /--undo goes with --from alone/],
    [['--from', 'https://a', '--to', 'b:1'], /over http:/],
    [['--from', 'a:1', '--to', 'b:1', '--timeout', '5'], /--timeout/],
    [['--frm', 'a:1'], /frm/],
  ])('%j', async (argv, said) => {
    const { code, err } = await run(...argv);
    expect([code, err]).toEqual([2, expect.stringMatching(said)]);
  });

  test('help is no failure', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, out: expect.stringContaining('exit code') });
  });
});
