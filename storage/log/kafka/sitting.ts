/** Connections over which a subscription is read, until they are ended; and why others are needed, as soon as that is known. */
import type { TopicConnection } from './topic-connection.ts';

export interface Trouble {
  readonly why: string;
  /** The brokers answer; it is what they hold that cannot be read. */
  readonly answered: boolean;
}

export class Sitting {
  readonly connection: TopicConnection;
  /** The first that was told. */
  readonly trouble: Promise<Trouble>;
  /** No trouble with a broker was told. */
  whole = true;
  /** Nothing that comes from now on counts. */
  ended = false;
  readonly #told: (trouble: Trouble) => void;

  constructor(connection: TopicConnection) {
    this.connection = connection;
    let told: (trouble: Trouble) => void = () => undefined;
    this.trouble = new Promise((resolve) => {
      told = resolve;
    });
    this.#told = told;
  }

  /** What works goes on until others take over. */
  tell(why: string, answered = false): void {
    if (!answered) this.whole = false;
    this.#told({ why, answered });
  }

  end(why: string): void {
    this.ended = true;
    this.tell(why);
    this.connection.cut();
  }
}
