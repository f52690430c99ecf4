import type { RunStatus, SessionDetail, SessionView, WorkflowView } from "@holdfast/client";
import { describe, expect, test } from "vitest";
import { counted, filtered, isId, rowsOf, titleOf } from "../../src/sessions/filter.ts";
import { refreshed } from "../../src/sessions/list.ts";
import { onePerName } from "../../src/sessions/workflows.ts";

function session(id: string, more: Partial<SessionView> = {}): SessionView {
  return {
    session_id: id,
    status: "active",
    head: 1,
    min_seq: 1,
    created_at: "2026-11-21T15:00:00Z",
    expires_at: null,
    ttl_s: null,
    metadata: {},
    active_run: null,
    ...more,
  };
}

function detail(of: SessionView, status: RunStatus, workflow = "team"): SessionDetail {
  const run = { run_id: `run_${of.session_id}`, workflow, status, created_at: of.created_at, ended_at: null };
  return { ...of, runs: [run] };
}

const ids = (items: readonly SessionView[] | null) => items?.map((one) => one.session_id);

describe("the newest sessions", () => {
  const known = { items: [session("c"), session("b"), session("a")], cursor: "1", wanted: 250 };

  test("take the place of those that were known, and older ones stay", () => {
    const pages = refreshed(known, [session("d"), session("c", { head: 7 }), session("b")], "2");

    expect(ids(pages.items)).toEqual(["d", "c", "b", "a"]);
    expect(pages.items?.[1]?.head).toBe(7);
    expect(pages.cursor).toBe("1");
  });

  test("push out the oldest while one call brings all that is wanted, so that an open page doesn't grow for ever", () => {
    const pages = refreshed({ ...known, wanted: 3 }, [session("e"), session("d"), session("c")], "3");

    expect(ids(pages.items)).toEqual(["e", "d", "c"]);
    expect(pages.cursor).toBe("3");
  });

  test("are all there is when nothing follows them", () => {
    const pages = refreshed(known, [session("c"), session("a")], null);

    expect(ids(pages.items)).toEqual(["c", "a"]);
    expect(pages.cursor).toBeNull();
  });

  test("begin the list anew when so many came that they don't meet the known ones", () => {
    const pages = refreshed(known, [session("z"), session("y")], "25");

    expect(ids(pages.items)).toEqual(["z", "y"]);
    expect(pages.cursor).toBe("25");
  });
});

describe("a filter", () => {
  const one = session("ses_one", { metadata: { title: "Due dates" } });
  const two = session("ses_two");
  const gone = session("ses_gone", { status: "erased" });
  const rows = rowsOf(
    [one, two, gone],
    new Map([
      ["ses_one", detail(one, "running")],
      ["ses_two", detail(two, "failed", "ticker")],
    ]),
  );
  const found = (text: string, run: RunStatus | null = null) =>
    filtered(rows, { text, run }).map((row) => row.session.session_id);

  test("finds ids, titles and workflows, in any case", () => {
    expect(found("_ONE")).toEqual(["ses_one"]);
    expect(found("due")).toEqual(["ses_one"]);
    expect(found(" ticker ")).toEqual(["ses_two"]);
    expect(found("")).toEqual(["ses_one", "ses_two", "ses_gone"]);
  });

  test("keeps those whose latest run has the status", () => {
    expect(found("", "failed")).toEqual(["ses_two"]);
    expect([...counted(rows)]).toEqual([
      ["running", 1],
      ["failed", 1],
    ]);
  });

  test("tells a session without a run from one that isn't known yet", () => {
    expect(rowsOf([two], new Map())[0]?.latest).toBeUndefined();
    expect(rowsOf([two], new Map([["ses_two", { ...two, runs: [] }]]))[0]?.latest).toBeNull();
  });

  test("takes only texts for titles, and only the gateway's ids for ids", () => {
    expect(titleOf(session("x", { metadata: { title: { bold: true }, name: "n" } }))).toBe("n");
    expect(["a.b-c_1", ".", "..", "a b", "a/b", ""].map(isId)).toEqual([true, false, false, false, false, false]);
  });
});

test("of several versions of a workflow the one that can run is offered", () => {
  const version = (name: string, more: Partial<WorkflowView>): WorkflowView => ({
    name,
    version: "1",
    description: null,
    input_schema: null,
    load_error: null,
    workers: [],
    ...more,
  });

  const offered = onePerName([
    version("b", { version: "1", workers: ["w"] }),
    version("b", { version: "2" }),
    version("a", { version: "1", load_error: "No module named 'x'", workers: ["w"] }),
    version("a", { version: "2" }),
  ]);

  expect(offered.map((one) => `${one.name} ${one.version}`)).toEqual(["a 2", "b 1"]);
});
