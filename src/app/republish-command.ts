/** `bitacora republish`: what is left of a lost log, a store or a backup, written into another one. */
import { setTimeout as pause } from 'node:timers/promises';
import { Bitacora } from '../../client/http/bitacora.ts';
import type { NodeReport } from '../../client/http/types.ts';
import type { KeptSnapshot } from '../../storage/store/kept-snapshot.ts';
import { type Survey, surveyOf, valuesIn } from '../../storage/store/kept-values.ts';
import { openSnapshotFile } from '../../storage/store/snapshot-reading.ts';
import { BitacoraError } from '../core/errors.ts';
import { storeFormat } from '../replica/same-log.ts';
import { exitCodes } from './exit-codes.ts';
import type { Came } from './import-slice.ts';
import { importSlices, type Placed } from './import-slices.ts';
import { type Asked, askedIn, help } from './republish-asked.ts';
import { loadRepublish, type RepublishState, saveRepublish, sourceOf } from './republish-state.ts';
import { counted, type Shell, type Speaking, secondsSince } from './shell.ts';
import { surveyWords, wordsOf } from './snapshot-words.ts';
import { InTheWay, runStoreCommand } from './store-command.ts';
import { entriesIn, openKeptStore } from './store-copy.ts';

/** Slices under way: no key is there twice. */
const lanes = 4;
const askEveryMs = 200;

/** Resolves with the exit code. */
export function republish(argv: readonly string[], shell: Shell): Promise<number> {
  const asked = (given: readonly string[]): Asked | undefined => askedIn(given, shell.env);
  return runStoreCommand({ name: 'republish', help, asked, run: (all, speaking) => publishAll(all, shell, speaking) }, argv, shell);
}

async function publishAll(asked: Asked, { out }: Shell, speaking: Speaking): Promise<number> {
  const kept = asked.isBackup ? await openSnapshotFile(asked.path) : await openKeptStore(asked.path);
  const kv = new Bitacora({ endpoints: asked.endpoints, timeoutMs: asked.timeoutMs });
  try {
    const { format } = kept.identity;
    if (format !== storeFormat) {
      throw new BitacoraError('store-damaged', `${asked.path} holds format ${format}; this version reads format ${storeFormat}`);
    }
    const survey = await surveyed(kept, speaking);
    if (asked.dryRun) out.write(`${asked.path}\n${wordsOf(kept)}\n${surveyWords(survey)}\n`);
    const node = await knowing(kv, asked.timeoutMs);
    const { state, begun } = await loadRepublish(asked.stateFile, { source: sourceOf(kept), genesis: node.genesis as string });
    if (state.done) {
      speaking.say(`${asked.path} was republished already, says ${asked.stateFile}; remove that to do it again`);
      return exitCodes.done;
    }
    if (!asked.merge && !begun) await refuseOthers(kept, node, kv);
    if (asked.dryRun) {
      speaking.say(`would republish ${counted(survey.values, 'key')} into the log ${node.genesis}, and has written nothing`);
      return exitCodes.done;
    }
    return await new Publishing({ asked, kept, survey, kv, node, state }, speaking).run();
  } finally {
    await Promise.all([kept.close(), kv.close()]);
  }
}

async function surveyed(kept: KeptSnapshot, { progress }: Speaking): Promise<Survey> {
  const entries = Math.max(1, entriesIn(kept));
  const survey = await surveyOf(kept, (rows) => progress.show(() => `check  ${Math.floor(Math.min(1, rows / entries) * 100)} %`));
  progress.clear();
  return survey;
}

/** What a node says of itself once it knows its log: a new topic has no identity for its first moments. Errors: those of the client. */
async function knowing(kv: Bitacora, timeoutMs: number): Promise<NodeReport> {
  for (const began = performance.now(); ; await pause(askEveryMs)) {
    const node = await kv.node({ timeoutMs });
    if (node.ready && node.genesis !== undefined) return node;
    if (performance.now() - began > timeoutMs) {
      throw new BitacoraError('position-not-reached', `the node ${node.node} is ${node.state}, and does not know its log yet`);
    }
  }
}

/** Errors: `InTheWay`. */
async function refuseOthers(kept: KeptSnapshot, node: NodeReport, kv: Bitacora): Promise<void> {
  if (kept.identity.genesis?.id === node.genesis) {
    throw new InTheWay(
      `the node follows the very log of this store, ${node.genesis}: what is in the store is in the log, unless it was deleted since or the log ` +
        'has lost its end; --merge writes what is absent',
    );
  }
  for await (const { items } of kv.list({ limit: 1, keysOnly: true, consistency: 'latest' })) {
    if (items.length === 0) continue;
    const ways = '--resume STATE_FILE goes on with a republishing that was begun with it, --merge writes what is absent';
    throw new InTheWay(`the log holds keys already; ${ways}`);
  }
}

interface Work {
  readonly asked: Asked;
  readonly kept: KeptSnapshot;
  readonly survey: Survey;
  readonly kv: Bitacora;
  readonly node: NodeReport;
  readonly state: RepublishState;
}

class Publishing {
  readonly #work: Work;
  readonly #speaking: Speaking;
  readonly #start = performance.now();
  #state: RepublishState;
  #passed = 0;

  constructor(work: Work, speaking: Speaking) {
    this.#work = work;
    this.#speaking = speaking;
    this.#state = work.state;
  }

  async run(): Promise<number> {
    const { asked, kv, node, survey } = this.#work;
    // Begun: from now on keys in the log may be ours.
    await this.#save({});
    const maxBatchedBytes = Math.floor(node.limits.batchBytes / 8);
    const options = { kv, onConflict: 'fail', dryRun: false, timeoutMs: asked.timeoutMs, maxBatchedBytes } as const;
    try {
      for await (const { items, place } of importSlices(this.#items(), lanes, options)) {
        await this.#save({ after: place, counts: this.#countedIn(items) });
        this.#passed += items.length;
        this.#speaking.progress.show(() => this.#progressWords());
      }
    } catch (error) {
      this.#speaking.say(this.#way());
      throw error;
    }
    await this.#save({ done: true });
    this.#speaking.say(`republished ${asked.path} into the log ${node.genesis}: ${this.#summary()}, in ${secondsSince(this.#start)}`);
    this.#speaking.say(surveyWords(survey));
    return exitCodes.done;
  }

  async *#items(): AsyncGenerator<Placed<string>> {
    const { kept, state } = this.#work;
    for await (const { key, entry } of valuesIn(kept, state.after ?? undefined)) {
      const { value, contentType, expires } = entry;
      const item = { key, value, contentType: contentType || undefined, expires: expires || undefined, id: state.run };
      yield { item, place: key };
    }
  }

  #countedIn(items: readonly { readonly came: Came }[]): RepublishState['counts'] {
    const counts = { ...this.#state.counts };
    for (const { came } of items) counts[came === 'written' || came === 'unchanged' || came === 'expired' ? came : 'kept']++;
    return counts;
  }

  async #save(news: Partial<RepublishState>): Promise<void> {
    const { stateFile } = this.#work.asked;
    this.#state = { ...this.#state, ...news };
    if (stateFile !== undefined) await saveRepublish(stateFile, this.#state);
  }

  #summary(): string {
    const { written, unchanged, kept, expired } = this.#state.counts;
    const parts = [`${written.toLocaleString('en-US')} written`];
    if (unchanged > 0) parts.push(`${unchanged.toLocaleString('en-US')} the same already`);
    if (kept > 0) parts.push(`${kept.toLocaleString('en-US')} left as others have written them`);
    if (expired > 0) parts.push(`${expired.toLocaleString('en-US')} expired`);
    return parts.join(', ');
  }

  /** How to go on. */
  #way(): string {
    const { stateFile } = this.#work.asked;
    const how =
      stateFile === undefined ? 'the same command with --merge writes what is missing' : 'the same command goes on from where it was';
    return `not to its end: ${this.#summary()}; ${how}`;
  }

  #progressWords(): string {
    const share = this.#passed / Math.max(1, this.#work.survey.values);
    return `republish  ${Math.floor(Math.min(1, share) * 100)} %  ${counted(this.#passed, 'key')}  ${secondsSince(this.#start)}`;
  }
}
