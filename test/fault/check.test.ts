/** The checker can fail: each promise broken in a history made by hand is found, and a sound history has nothing wrong. */
import { describe, expect, test } from 'vitest';
import { check } from './check.ts';
import type { HeardEvent } from './history.ts';
import { Story } from './story.ts';

const key = 'k/a';

function rules(story: Story): string[] {
  return check(story.history).map(({ rule }) => rule);
}

describe('a sound history', () => {
  test('of writes, reads, conditions, deletes, watches and nodes that agree', () => {
    const story = new Story();
    const first = story.put(key, 'one', { session: 's' });
    story.get(key, { value: 'one', version: first }, first, { session: 's', token: story.token(first), consistency: 'session' });
    const second = story.put(key, 'two', { condition: first });
    story.get(key, { value: 'one', version: first }, first);
    story.record(key, 'three', { op: 'c', if: first.slice(2) });
    story.told({ key, value: 'three', outcome: 'refused', status: 412, condition: first, current: second });
    story.get(key, { value: 'two', version: second }, '0:3', { consistency: 'linearizable' });
    const gone = story.delete(key);
    story.get(key, undefined, gone, { consistency: 'latest' });
    story.watch(
      story.sync('0:0'),
      story.event('put', key, first, 'one'),
      story.event('put', key, second, 'two'),
      story.event('delete', key, gone),
    );
    story.hold('n0', key).hold('n1', key);
    expect(rules(story)).toEqual([]);
  });

  test('of writes of unknown outcome, whatever became of them', () => {
    const story = new Story();
    story.told({ key, value: 'lost', outcome: 'unknown', status: 504 });
    const version = story.record(key, 'there');
    story.told({ key, value: 'there', outcome: 'unknown', status: 0 });
    story.hold('n0', key, { value: 'there', version });
    expect(rules(story)).toEqual([]);
  });

  test('of a request that was sent again, and answered as the first', () => {
    const story = new Story();
    const version = story.record(key, 'once', { ik: 'i' });
    story.told({ key, value: 'once', idempotencyKey: 'i', outcome: 'unknown', status: 504 });
    story.put('k/b', 'other');
    story.record(key, 'once', { ik: 'i' });
    story.told({ key, value: 'once', idempotencyKey: 'i', version, position: story.end });
    expect(rules(story)).toEqual([]);
  });

  test('of a value that expires', () => {
    const story = new Story();
    const version = story.record(key, 'short', { exp: String(story.time + 50) });
    story.told({ key, value: 'short', version, position: story.token(version) });
    story.get(key, { value: 'short', version }, version).later(100).get(key, undefined, version);
    story.hold('n0', key);
    expect(rules(story)).toEqual([]);
  });

  test('of a watcher that was told a state after a reset, and came back to another node', () => {
    const story = new Story();
    const first = story.put(key, 'one');
    const other = story.put('k/b', 'b');
    const again = story.put(key, 'two');
    const reset = { event: 'reset', id: 'reset', data: {} };
    const state = { ...story.event('put', 'k/b', other, 'b'), id: undefined };
    const older = { ...story.event('put', key, first, 'one'), id: undefined };
    story.watch(story.sync('0:0'), reset, older, state, story.sync(other), story.event('put', key, again, 'two'));
    expect(rules(story)).toEqual([]);
  });
});

describe('writes', () => {
  test('a lost write', () => {
    const story = new Story().told({ key, value: 'lost', version: '0:1', position: 'x' });
    expect(rules(story)).toEqual(['an acknowledged write is not in the log']);
  });

  test('a lost write in whose place another one is', () => {
    const story = new Story();
    const version = story.put(key, 'there');
    story.told({ key, value: 'lost', version });
    expect(rules(story)).toContain('a write was acknowledged at the place of another');
  });

  test('a lost delete', () => {
    const story = new Story();
    const version = story.put(key, 'there');
    story.told({ kind: 'delete', key, position: story.token(version) });
    expect(rules(story)).toContain('a write was acknowledged at the place of another');
  });

  test('a lost delete that was asked for with an idempotency key', () => {
    const story = new Story();
    const version = story.put(key, 'there');
    story.told({ kind: 'delete', key, idempotencyKey: 'i', position: story.token(version) });
    expect(rules(story)).toEqual(['an acknowledged write is not in the log']);
  });

  test('an acknowledged write that the log refuses', () => {
    const story = new Story();
    story.put(key, 'first', { condition: 'absent' });
    story.put(key, 'second', { condition: 'absent' });
    expect(rules(story)).toEqual(['a write was acknowledged that had no effect']);
  });

  test('a condition on a version that holds twice', () => {
    const story = new Story();
    const version = story.put(key, 'first');
    story.put(key, 'second', { condition: version });
    story.put(key, 'third', { condition: version });
    expect(rules(story)).toEqual(['a write was acknowledged that had no effect', 'two writes succeeded that expected the same version']);
  });

  test('a write at a place that was there before it began', () => {
    const story = new Story();
    const early = story.record(key, 'early');
    story.put('k/b', 'b');
    story.told({ key, value: 'early', version: early, position: story.token(early) });
    expect(rules(story)).toContain('a write was acknowledged at a place before it began');
  });

  test('a write that was said to have failed, and is there', () => {
    const story = new Story();
    story.record(key, 'there');
    story.told({ key, value: 'there', outcome: 'failed', status: 503 });
    expect(rules(story)).toEqual(['a write that was said not to be in the log is in it']);
  });

  test('a write that was said to be refused, and is written', () => {
    const story = new Story();
    story.record(key, 'there', { op: 'c', if: 'absent' });
    story.told({ key, value: 'there', outcome: 'refused', status: 412, condition: 'absent', current: '0:1' });
    expect(rules(story)).toEqual(['a write was told to be refused that is written']);
  });

  test('a condition that was said to fail, and held all the time', () => {
    const story = new Story();
    const version = story.put(key, 'there');
    story.told({ key, value: 'refused', outcome: 'refused', status: 412, condition: version, current: null });
    expect(rules(story)).toEqual(['a condition was told to fail that never did']);
  });

  test('a condition that failed with what had been overwritten before it began', () => {
    const story = new Story();
    const old = story.put(key, 'old');
    const version = story.put(key, 'new');
    story.told({ key, value: 'refused', outcome: 'refused', status: 412, condition: version, current: old });
    expect(rules(story)).toEqual(['a condition was told to fail that never did']);
  });

  test('a write that is there twice', () => {
    const story = new Story();
    story.put(key, 'twice');
    story.record(key, 'twice');
    expect(rules(story)).toEqual(['a request had its effect twice']);
  });

  test('a write that nobody asked for', () => {
    const story = new Story();
    story.record(key, 'from nowhere');
    expect(rules(story)).toEqual(['the log holds a write that nobody asked for']);
  });
});

describe('reads', () => {
  test('a session that does not find its own write', () => {
    const story = new Story();
    story.put(key, 'mine', { session: 's' });
    story.get(key, undefined, '0:0', { session: 's' });
    expect(rules(story)).toEqual(['a session read something older than it had seen']);
  });

  test('an answer from before the token that was sent', () => {
    const story = new Story();
    const first = story.put(key, 'one');
    const second = story.put(key, 'two');
    story.get(key, { value: 'one', version: first }, first, { token: story.token(second) });
    expect(rules(story)).toEqual(['a session read something older than it had seen']);
  });

  test.each(['latest', 'linearizable'] as const)('a %s read that misses what was acknowledged before', (consistency) => {
    const story = new Story();
    const first = story.put(key, 'one');
    story.put(key, 'two');
    story.get(key, { value: 'one', version: first }, first, { consistency });
    expect(rules(story)).toEqual([`a ${consistency} read was stale`]);
  });

  test('a value that the answer says to have gone beyond', () => {
    const story = new Story();
    const first = story.put(key, 'one');
    const second = story.put(key, 'two');
    story.get(key, { value: 'one', version: first }, second);
    expect(rules(story)).toEqual(['a read told what was not there']);
  });

  test('a value that never was, and one under the version of another', () => {
    const story = new Story();
    const version = story.put(key, 'one');
    story.get(key, { value: 'never', version }, version);
    story.get(key, { value: 'one', version: '0:7' }, version);
    expect(rules(story)).toEqual(['a read told what was not there', 'a read told what was not there']);
  });

  test('a deleted key that is read again', () => {
    const story = new Story();
    const version = story.put(key, 'one');
    const gone = story.delete(key);
    story.get(key, { value: 'one', version }, gone);
    expect(rules(story)).toEqual(['a read told what was not there']);
  });

  test('a value read long after its deadline', () => {
    const story = new Story();
    const version = story.record(key, 'short', { exp: String(story.time + 50) });
    story.told({ key, value: 'short', version, position: story.token(version) });
    story.later(100).get(key, { value: 'short', version }, version);
    expect(rules(story)).toEqual(['a read told what was not there']);
  });
});

describe('nodes at the end', () => {
  test('a resurrected key', () => {
    const story = new Story();
    const version = story.put(key, 'one');
    story.delete(key);
    story.hold('n0', key).hold('n1', key, { value: 'one', version });
    expect(rules(story)).toEqual(['a deleted key is back']);
  });

  test('a node that has stayed behind, and one that has lost a key', () => {
    const story = new Story();
    const version = story.put(key, 'one');
    story.put(key, 'two');
    story.hold('n0', key, { value: 'one', version }).hold('n1', key);
    expect(rules(story)).toEqual(['a node does not hold what the log says', 'a node does not hold what the log says']);
  });
});

describe('watches', () => {
  function watched(tell: (story: Story, first: string, second: string) => readonly HeardEvent[]): string[] {
    const story = new Story();
    const first = story.put(key, 'one');
    const second = story.put(key, 'two');
    return rules(story.watch(...tell(story, first, second)));
  }
  const one = (story: Story, version: string) => story.event('put', key, version, 'one');
  const two = (story: Story, version: string) => story.event('put', key, version, 'two');

  test('an event twice', () => {
    const found = watched((story, first, second) => [story.sync('0:0'), one(story, first), one(story, first), two(story, second)]);
    expect(found).toEqual(['a watcher was told of a write twice, or too late']);
  });

  test('events in the wrong order', () => {
    const found = watched((story, first, second) => [story.sync('0:0'), two(story, second), one(story, first)]);
    expect(found).toEqual(['a watcher was not told of a write', 'a watcher was told of a write twice, or too late']);
  });

  test.each([
    { where: 'before the next', tell: (story: Story, _: string, second: string) => [story.sync('0:0'), two(story, second)] },
    { where: 'at the end', tell: (story: Story, first: string) => [story.sync('0:0'), one(story, first)] },
    {
      where: 'before a sync',
      tell: (story: Story, first: string, second: string) => [story.sync('0:0'), one(story, first), story.sync(second)],
    },
  ])('an event missed $where', ({ tell }) => {
    expect(watched(tell)).toEqual(['a watcher was not told of a write']);
  });

  test('an event of what had no effect, and one with another value', () => {
    const found = watched((story, first, second) => [
      story.sync('0:0'),
      { ...one(story, first), data: { key, version: first, value: 'other' } },
      two(story, second),
    ]);
    expect(found).toEqual(['a watcher was told of a write that is none']);
  });

  test('a state that is another, and one that does not end', () => {
    const reset = { event: 'reset', id: 'reset', data: {} };
    expect(watched((story, _, second) => [story.sync('0:0'), reset, story.sync(second)])).toEqual([
      'a watcher was told another state than that of its sync',
    ]);
    expect(watched((story) => [story.sync('0:0'), reset])).toEqual(['a watcher was not told a state to its end']);
  });
});

test('what has no place in a history is told too', () => {
  const { history } = new Story();
  expect(check({ ...history, troubles: ['n0 ended by itself'] }).map(({ detail }) => detail)).toEqual(['n0 ended by itself']);
});
