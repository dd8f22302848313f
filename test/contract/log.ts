/**
 * The contract of the `Log` port: what Kafka's, the embedded and the memory log promise alike. Call it once per implementation.
 *
 * Chapters: appends, appends together, subscriptions, landmarks and holes, lifecycle, faults, seal, stretches. Each test has a fresh topic.
 */
import { afterEach, beforeEach, describe } from 'vitest';
import type { Log } from '../../src/ports.ts';
import { appendContract } from './log-appends.ts';
import { faultContract } from './log-faults.ts';
import type { LogBounds, LogHarness, LogTopic, TopicSettings } from './log-harness.ts';
import { lifecycleContract } from './log-lifecycle.ts';
import { placeContract } from './log-places.ts';
import { sealContract } from './log-seal.ts';
import { stretchPlaceContract } from './log-stretch-places.ts';
import { stretchContract } from './log-stretches.ts';
import { subscriptionContract } from './log-subscriptions.ts';
import { togetherContract } from './log-together.ts';

/** What each test works with. Logs opened through it are closed, and topics removed, when the test is over. */
export interface Stage {
  readonly harness: LogHarness;
  /** A fresh topic. */
  topic(settings?: Partial<TopicSettings>): Promise<LogTopic>;
  /** Opens a log on a topic. */
  open(topic: LogTopic, bounds?: LogBounds): Promise<Log>;
  /** A log on a fresh topic of three partitions. */
  log(): Promise<Log>;
}

/** Runs every test of the contract against an implementation. `harness` is called once, before the first test. */
export function logContract(name: string, makeHarness: () => Promise<LogHarness>): void {
  describe(`log contract: ${name}`, () => {
    let harness: LogHarness | undefined;
    let topics: LogTopic[] = [];
    let logs: Log[] = [];

    const stage: Stage = {
      get harness() {
        if (harness === undefined) throw new Error('the harness is made before each test');
        return harness;
      },
      async topic(settings = {}) {
        const topic = await stage.harness.fresh({ partitions: 3, compacts: false, ...settings });
        topics.push(topic);
        return topic;
      },
      async open(topic, bounds) {
        const log = await topic.open(bounds);
        logs.push(log);
        return log;
      },
      async log() {
        return stage.open(await stage.topic());
      },
    };

    beforeEach(async () => {
      harness ??= await makeHarness();
    }, 180_000);

    afterEach(async () => {
      for (const log of logs) await log.close();
      for (const topic of topics) await topic.remove();
      topics = [];
      logs = [];
    }, 180_000);

    appendContract(stage);
    togetherContract(stage);
    subscriptionContract(stage);
    placeContract(stage);
    lifecycleContract(stage);
    faultContract(stage);
    sealContract(stage);
    stretchContract(stage);
    stretchPlaceContract(stage);
  });
}
