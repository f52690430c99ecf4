import { describe, expect, test, vi } from "vitest";
import { exportLines } from "../../../src/session/inspector/export.ts";
import { EventPages, PAGE_SEQS } from "../../../src/session/inspector/pages.ts";
import { search } from "../../../src/session/inspector/search.ts";
import type { PageQuery, ReadPage, WirePage } from "../../../src/session/inspector/wire.ts";

/** A log of small events up to `head`; those in `compacted` are gone. */
class Source {
  readonly asked: PageQuery[] = [];
  head: number;
  minSeq = 1;
  failing: Error | null = null;
  /** Answers wait until they are let go. */
  held: (() => void)[] | null = null;
  compacted = new Set<number>();
  size = 0;

  constructor(head: number) {
    this.head = head;
  }

  readonly read: ReadPage = async (query) => {
    this.asked.push(query);
    if (this.held !== null) await new Promise<void>((go) => this.held?.push(go));
    query.signal?.throwIfAborted();
    if (this.failing) throw this.failing;
    const bodies: string[] = [];
    let seq = query.after;
    while (bodies.length < query.limit && seq < this.head) {
      seq += 1;
      if (this.compacted.has(seq)) continue;
      const type = seq % 10 === 0 ? "run.failed" : "message.delta";
      if (query.types !== undefined && !query.types.split(",").includes(type)) continue;
      const text = `piece ${seq}${"x".repeat(this.size)}`;
      bodies.push(JSON.stringify({ seq, type, agent: seq % 2 ? "Ann" : "Bob", data: { text } }));
    }
    const page: WirePage = { bodies, nextAfter: seq, head: this.head, minSeq: this.minSeq };
    return page;
  };
}

function pagesOf(source: Source) {
  const pages = new EventPages(source.read);
  const want = (first: number, last: number) => pages.want(first, last, { minSeq: source.minSeq, head: source.head });
  const settled = () => vi.waitFor(() => expect(source.held?.length ?? 0).toBe(0));
  return { pages, want, settled };
}

const seqAt = (pages: EventPages, seq: number) => {
  const place = pages.at(seq);
  return typeof place === "string" ? place : place.event.seq;
};

describe("pages of a log", () => {
  test("what is looked at comes, and nothing else is asked for", async () => {
    const source = new Source(100_000);
    const { pages, want } = pagesOf(source);

    want(50_001, 50_030);
    await vi.waitFor(() => expect(seqAt(pages, 50_001)).toBe(50_001));

    expect(source.asked.map(({ after, limit }) => [after, limit])).toEqual([[50_000, PAGE_SEQS]]);
    expect(pages.at(1)).toBe("loading");
  });

  test("looked at again, nothing is asked again", async () => {
    const source = new Source(1_000);
    const { pages, want } = pagesOf(source);
    want(1, 30);
    await vi.waitFor(() => expect(seqAt(pages, 30)).toBe(30));

    want(10, 60);

    expect(source.asked).toHaveLength(1);
  });

  test("the end of the log grows by what is new of it", async () => {
    const source = new Source(250);
    const { pages, want } = pagesOf(source);
    want(201, 250);
    await vi.waitFor(() => expect(seqAt(pages, 250)).toBe(250));

    source.head = 260;
    want(201, 260);
    await vi.waitFor(() => expect(seqAt(pages, 260)).toBe(260));

    expect(source.asked.at(-1)).toMatchObject({ after: 250, limit: 150 });
    expect(seqAt(pages, 201)).toBe(201);
  });

  test("a page that ends early for its size is read on", async () => {
    const source = new Source(400);
    const whole = source.read;
    const pages = new EventPages((query) => whole({ ...query, limit: Math.min(query.limit, 60) }));

    pages.want(1, 200, { minSeq: 1, head: 400 });

    await vi.waitFor(() => expect(seqAt(pages, 200)).toBe(200));
  });

  test("a compacted seq is absent, not awaited for ever", async () => {
    const source = new Source(300);
    source.compacted.add(7);
    const { pages, want } = pagesOf(source);

    want(1, 30);
    await vi.waitFor(() => expect(seqAt(pages, 8)).toBe(8));

    expect(pages.at(7)).toBe("absent");
  });

  test("nothing is asked for before what is kept", async () => {
    const source = new Source(1_000);
    source.minSeq = 350;
    const { pages, want } = pagesOf(source);

    want(350, 380);
    await vi.waitFor(() => expect(seqAt(pages, 350)).toBe(350));

    expect(source.asked[0]).toMatchObject({ after: 349 });
  });

  test("a log that is shorter than somebody said is not asked for its rest for ever", async () => {
    const source = new Source(100);
    const pages = new EventPages(source.read);

    pages.want(1, 150, { minSeq: 1, head: 150 });
    await vi.waitFor(() => expect(pages.at(120)).toBe("absent"));
    const asked = source.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 20));

    expect(source.asked.length).toBe(asked);
    expect(asked).toBeLessThan(4);
  });

  test("who scrolls on lets go of what was asked for on the way", async () => {
    const source = new Source(100_000);
    source.held = [];
    const { pages, want } = pagesOf(source);

    want(1, 30);
    want(50_001, 50_030);
    want(90_001, 90_030);

    expect(source.asked.map(({ signal }) => signal?.aborted)).toEqual([true, true]);
    const held = source.held;
    source.held = null;
    for (const go of held) go();
    await vi.waitFor(() => expect(seqAt(pages, 90_001)).toBe(90_001));
    expect(pages.error).toBeNull();
  });

  test("at most two requests are under way", () => {
    const source = new Source(100_000);
    source.held = [];
    const { want } = pagesOf(source);

    want(1, 5 * PAGE_SEQS);

    expect(source.asked).toHaveLength(2);
  });

  test("what is held is bounded, and what is looked at stays", async () => {
    const source = new Source(100_000);
    source.size = 20_000; // a page of 4 MB
    const { pages, want } = pagesOf(source);

    for (let page = 0; page < 8; page += 1) {
      want(page * PAGE_SEQS + 1, page * PAGE_SEQS + 30);
      await vi.waitFor(() => expect(seqAt(pages, page * PAGE_SEQS + 1)).toBe(page * PAGE_SEQS + 1));
    }

    expect(pages.size).toBeLessThanOrEqual(2);
    expect(pages.at(1)).toBe("loading");
  });

  test("what fits into the bound is kept, also after something had to go", async () => {
    const source = new Source(100_000);
    source.size = 8_000; // a page of 1.6 MB: four fit
    const { pages, want } = pagesOf(source);

    for (let page = 0; page < 8; page += 1) {
      want(page * PAGE_SEQS + 1, page * PAGE_SEQS + 30);
      await vi.waitFor(() => expect(seqAt(pages, page * PAGE_SEQS + 1)).toBe(page * PAGE_SEQS + 1));
    }

    expect(pages.size).toBe(4);
  });

  test("a failure is told and not repeated until somebody asks", async () => {
    const source = new Source(100);
    source.failing = new Error("away");
    const { pages, want } = pagesOf(source);
    want(1, 30);
    await vi.waitFor(() => expect(pages.error).toBe(source.failing));
    want(1, 40);
    expect(source.asked).toHaveLength(1);

    source.failing = null;
    pages.retry();

    await vi.waitFor(() => expect(seqAt(pages, 1)).toBe(1));
    expect(pages.error).toBeNull();
  });
});

describe("searching", () => {
  const never = new AbortController().signal;

  test("goes page by page and tells how far it is", async () => {
    const source = new Source(2_000);
    const told: number[] = [];
    let last: readonly number[] = [];

    await search(
      source.read,
      { types: [], agent: "", text: "PIECE 19" },
      { after: 0, until: 2_000 },
      never,
      (found) => {
        told.push(found.through);
        last = found.matches.map(({ event }) => event.seq);
      },
    );

    expect(told).toEqual([500, 1000, 1500, 2000]);
    expect(last).toHaveLength(111); // 19, 190 to 199, 1900 to 1999
  });

  test("leaves types to the gateway and looks at agents itself", async () => {
    const source = new Source(200);
    let seqs: number[] = [];

    const filter = { types: ["run.failed"], agent: "Bob", text: "" };
    await search(source.read, filter, { after: 0, until: 200 }, never, ({ matches }) => {
      seqs = matches.map(({ event }) => event.seq);
    });

    expect(source.asked[0]?.types).toBe("run.failed");
    expect(seqs).toHaveLength(20);
    await search(source.read, { ...filter, types: [] }, { after: 0, until: 200 }, never, ({ matches }) => {
      seqs = matches.map(({ event }) => event.seq);
    });
    expect(seqs).toHaveLength(100);
  });

  test("ends when there is enough, and says so", async () => {
    const source = new Source(100_000);
    let full = false;
    let through = 0;

    await search(source.read, { types: [], agent: "", text: "piece" }, { after: 0, until: 100_000 }, never, (found) => {
      full = found.full;
      through = found.through;
    });

    expect([full, through]).toEqual([true, 5_000]);
    expect(source.asked).toHaveLength(10);
  });

  test("stops when nobody waits for it", async () => {
    const source = new Source(100_000);
    const stop = new AbortController();

    await search(
      source.read,
      { types: [], agent: "", text: "no such" },
      { after: 0, until: 100_000 },
      stop.signal,
      () => stop.abort(),
    );

    expect(source.asked).toHaveLength(1);
  });
});

describe("export", () => {
  test("has every event on a line of its own, as it was recorded", async () => {
    const source = new Source(1_234);
    const reached: number[] = [];

    const parts = await exportLines(source.read, { after: 0, until: 1_234 }, new AbortController().signal, (seq) =>
      reached.push(seq),
    );

    const lines = (await new Blob(parts).text()).split("\n");
    expect(lines).toHaveLength(1_235);
    expect(lines.at(-1)).toBe("");
    expect(lines.slice(0, -1).map((line) => JSON.parse(line).seq)).toEqual(
      Array.from({ length: 1_234 }, (_, n) => n + 1),
    );
    expect(reached).toEqual([500, 1000, 1234]);
  });

  test("ends where it was to end, though events have come since", async () => {
    const source = new Source(900);

    const parts = await exportLines(source.read, { after: 0, until: 10 }, new AbortController().signal, () => {});

    expect((await new Blob(parts).text()).trim().split("\n")).toHaveLength(10);
  });

  test("can be stopped", async () => {
    const stop = new AbortController();
    const stopped = exportLines(new Source(5_000).read, { after: 0, until: 5_000 }, stop.signal, () => stop.abort());

    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
  });

  test("stopped while its last page was under way it leaves no file behind", async () => {
    const stop = new AbortController();
    const source = new Source(100);
    const read: ReadPage = async ({ after, limit }) => {
      stop.abort();
      return source.read({ after, limit });
    };

    await expect(exportLines(read, { after: 0, until: 100 }, stop.signal, () => {})).rejects.toThrow();
  });
});
