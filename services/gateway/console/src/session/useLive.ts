import type { Client, Connection, Counters, HoldfastError, HoldfastEvent, Status } from "@holdfast/client";
import type { State } from "@holdfast/client/fold";
import { useSession } from "@holdfast/client/react";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Batches } from "./batches.ts";
import { Markers } from "./markers.ts";
import { recorderOf } from "./proof/recorder.ts";

/** A session as it is now: the client's own hook, and what this page wants to know besides. */
export interface LiveSession {
  readonly client: Client;
  readonly sessionId: string;
  readonly state: State;
  /** Grows whenever the state is another one. */
  readonly version: number;
  readonly status: Status;
  readonly counters: Readonly<Counters>;
  readonly connection: Connection | null;
  /** The state is there. */
  readonly loaded: boolean;
  /** What went wrong last, until it is well again. */
  readonly error: HoldfastError | null;
  readonly head: number;
  readonly minSeq: number;
  readonly markers: readonly HoldfastEvent[];
  /** Calls back for what the stream brings, in batches; returns what ends it. */
  onEvents(listener: (events: readonly HoldfastEvent[]) => void): () => void;
  reload(): void;
}

/** Follow a session while the calling component is mounted. */
export function useLive(client: Client, sessionId: string): LiveSession {
  const batches = useMemo(() => new Batches(sessionId), [sessionId]);
  const markers = useMemo(() => new Markers(client, sessionId), [client, sessionId]);
  const session = useSession(client, sessionId, { onEvent: batches.add, onStatus: record });
  const { state, status, counters, connection, error, reload } = session;
  const all = useSyncExternalStore(markers.subscribe, () => markers.all);

  const loaded = connection !== null;
  const { resets } = counters;
  const bounds = useBounds(client, sessionId, resets);

  // Listen before reading: an event in between comes twice, and is kept once. The other order can lose it.
  const { minSeq } = bounds;
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a reset another history begins
  useEffect(() => {
    if (!loaded || minSeq === null) return;
    const end = batches.subscribe(markers.add);
    markers.load(minSeq);
    return () => {
      end();
      markers.stop();
    };
  }, [batches, markers, loaded, minSeq, resets]);

  const versions = useRef(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a version per state
  const version = useMemo(() => {
    versions.current += 1;
    return versions.current;
  }, [state]);

  return {
    ...{ client, sessionId, state, version, status, counters, connection, loaded, error, reload },
    head: Math.max(bounds.head, state.seq),
    minSeq: minSeq ?? 1,
    markers: all,
    onEvents: batches.subscribe,
  };
}

/** Every status, as it comes: of those that fall into one render only the last is drawn, and the proof tells of all. */
function record(status: Status, connection: Connection): void {
  recorderOf(connection).observe(status);
}

interface Bounds {
  readonly head: number;
  /** Null until it is known. */
  readonly minSeq: number | null;
}

/** What of the log is kept, asked once and after every reset: retention works in days. */
function useBounds(client: Client, sessionId: string, resets: number): Bounds {
  const [bounds, setBounds] = useState<Bounds>({ head: 0, minSeq: null });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a reset is what asks again
  useEffect(() => {
    const stop = new AbortController();
    client.session(sessionId, { signal: stop.signal }).then(
      ({ head, min_seq }) => setBounds({ head, minSeq: min_seq }),
      () => {
        // The stream says what is wrong. Until it is well, all is taken to be kept.
        if (!stop.signal.aborted) setBounds((known) => ({ ...known, minSeq: known.minSeq ?? 1 }));
      },
    );
    return () => stop.abort();
  }, [client, sessionId, resets]);
  return bounds;
}
