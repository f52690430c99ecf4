import { expect, test, vi } from "vitest";
import { exportLines } from "../../../src/session/inspector/export.ts";
import { EventPages } from "../../../src/session/inspector/pages.ts";
import { search } from "../../../src/session/inspector/search.ts";
import { pageReader } from "../../../src/session/inspector/wire.ts";

/** Answers as a gateway whose log was kept from 1 on when the page was opened, and is by now from `minSeq`. */
function aged({ head, minSeq }: { readonly head: number; readonly minSeq: number }) {
  const answer = async (input: string | URL | Request) => {
    const query = new URL(String(input)).searchParams;
    const [after, limit] = [Number(query.get("after")), Number(query.get("limit"))];
    if (after > 0 && after < minSeq - 1) {
      const problem = { type: "t", title: "gone", status: 410, code: "cursor-expired", head, min_seq: minSeq };
      return new Response(JSON.stringify(problem), { status: 410 });
    }
    const first = Math.max(after + 1, minSeq);
    const last = Math.min(first + limit - 1, head);
    const items = [];
    for (let seq = first; seq <= last; seq += 1) items.push({ seq, type: "custom.a", data: {} });
    return new Response(JSON.stringify({ items, next_after: last, head, min_seq: minSeq }));
  };
  return pageReader("ses_1", "http://gw", vi.fn(answer) as unknown as typeof fetch);
}

const never = new AbortController().signal;

test("rows that retention has overtaken are no longer kept, those after them are shown", async () => {
  const pages = new EventPages(aged({ head: 1_000, minSeq: 450 }));

  pages.want(201, 500, { minSeq: 1, head: 1_000 });
  await vi.waitFor(() => expect(pages.at(500)).toMatchObject({ event: { seq: 500 } }));

  expect([pages.at(201), pages.at(400), pages.at(449)]).toEqual(["absent", "absent", "absent"]);
  expect(pages.at(450)).toMatchObject({ event: { seq: 450 } });
  expect(pages.error).toBeNull();
});

test("a search goes on from where the log begins by now", async () => {
  const found: number[] = [];

  const filter = { types: [], agent: "", text: "custom" };
  await search(aged({ head: 1_000, minSeq: 997 }), filter, { after: 10, until: 1_000 }, never, ({ matches }) => {
    found.splice(0, found.length, ...matches.map(({ event }) => event.seq));
  });

  expect(found).toEqual([997, 998, 999, 1_000]);
});

test("an export goes on from there as well, and not beyond its end", async () => {
  const read = aged({ head: 1_000, minSeq: 997 });

  const some = await exportLines(read, { after: 10, until: 998 }, never, () => {});
  const none = await exportLines(read, { after: 10, until: 500 }, never, () => {});

  const lines = (await new Blob(some).text()).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).seq)).toEqual([997, 998]);
  expect(none).toEqual([]);
});
