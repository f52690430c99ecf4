/** What the list itself doesn't say of its sessions: their latest runs. Asked once per change of a session. */

import type { Client, SessionDetail, SessionView } from "@holdfast/client";
import { useEffect, useRef, useState } from "react";
import { useClient } from "../app/client.ts";

// A browser opens six connections to a host over HTTP/1.1: the list's own calls and a stream want some as well.
const AT_ONCE = 3;

export type Details = ReadonlyMap<string, SessionDetail>;

interface Known {
  readonly stamp: string;
  readonly detail: SessionDetail | null;
}

/** Return the details of the sessions that are shown, as far as they are known. */
export function useDetails(sessions: readonly SessionView[] | null): Details {
  const client = useClient();
  const [details, setDetails] = useState<Details>(new Map());
  const asker = useRef<Asker | null>(null);
  useEffect(() => {
    const mine = new Asker(client, setDetails);
    asker.current = mine;
    return () => mine.end();
  }, [client]);
  useEffect(() => {
    if (sessions !== null) asker.current?.show(sessions);
  }, [sessions]);
  return details;
}

/** Says whether anything happened to a session since it was asked for: a run that begins, waits or ends is an event. */
function stampOf(session: SessionView): string {
  return `${session.head} ${session.active_run ?? ""} ${session.status}`;
}

class Asker {
  readonly #client: Client;
  readonly #tell: (details: Details) => void;
  readonly #known = new Map<string, Known>();
  readonly #ended = new AbortController();
  #wanted: readonly SessionView[] = [];
  #asking = 0;

  constructor(client: Client, tell: (details: Details) => void) {
    this.#client = client;
    this.#tell = tell;
  }

  show(sessions: readonly SessionView[]): void {
    this.#wanted = sessions;
    const shown = new Set(sessions.map((session) => session.session_id));
    for (const id of this.#known.keys()) if (!shown.has(id)) this.#known.delete(id);
    this.#fill();
  }

  end(): void {
    this.#ended.abort();
  }

  #fill(): void {
    while (this.#asking < AT_ONCE && !this.#ended.signal.aborted) {
      const next = this.#wanted.find(
        (session) => session.status !== "erased" && this.#known.get(session.session_id)?.stamp !== stampOf(session),
      );
      if (next === undefined) return;
      this.#asking += 1;
      void this.#ask(next);
    }
  }

  async #ask(session: SessionView): Promise<void> {
    const id = session.session_id;
    // Known from now on, also if it fails: the next change of the session asks again.
    this.#known.set(id, { stamp: stampOf(session), detail: this.#known.get(id)?.detail ?? null });
    try {
      const detail = await this.#client.session(id, { signal: this.#ended.signal });
      this.#known.set(id, { stamp: stampOf(session), detail });
    } catch {
      // Gone meanwhile, or the gateway is away: the list says which.
    }
    this.#asking -= 1;
    if (this.#ended.signal.aborted) return;
    const details = new Map<string, SessionDetail>();
    for (const [known, { detail }] of this.#known) if (detail) details.set(known, detail);
    this.#tell(details);
    this.#fill();
  }
}
