import { HoldfastError } from "@holdfast/client";
import { describe, expect, test, vi } from "vitest";
import { curlOf } from "../../../src/session/inspector/curl.ts";
import { eventsOf, pagePath, pageReader, parsePage } from "../../../src/session/inspector/wire.ts";

// What a parser that writes again would change: numbers' forms, doubled keys, escapes, spaces, order.
const BODIES = [
  '{"v":1,"seq":1,"type":"custom.a","data":{"n":1.0,"big":12345678901234567890,"e":1E2}}',
  '{"v":1,"seq":2,"type":"custom.b","data":{"text":"],\\"items\\":[{ \\\\","u":"\\u2028","k":1,"k":2}}',
  '{"v":1,"seq":3,"type":"custom.c","data":{"list":[[],[{"a":["]","}"]}]],"empty":{}}}',
];

const page = (bodies: readonly string[]) => `{"items":[${bodies.join(",")}],"next_after":3,"head":9,"min_seq":1}`;

describe("a page", () => {
  test("gives every event byte for byte", () => {
    expect(parsePage(page(BODIES))).toEqual({ bodies: BODIES, nextAfter: 3, head: 9, minSeq: 1 });
  });

  test("may be empty", () => {
    expect(parsePage(page([])).bodies).toEqual([]);
  });

  test("may hold one event that ends in backslashes", () => {
    const body = `{"seq":1,"data":{"text":"\\\\\\\\"}}`;

    expect(parsePage(page([body])).bodies).toEqual([body]);
  });

  test.each(['\\" ]', "\\\\", '\\\\\\"[{', '\\"'])("may hold texts such as %s, whose quotes are no ends", (text) => {
    const body = `{"seq":1,"data":{"text":"${text}","more":[1]}}`;

    expect(parsePage(page([body, body])).bodies).toEqual([body, body]);
  });

  test("that ends in the middle is none", () => {
    const whole = page(BODIES);

    for (let length = 0; length < whole.indexOf("]],") + 3; length += 7) {
      expect(() => parsePage(whole.slice(0, length))).toThrow(SyntaxError);
    }
  });

  test("has its events parsed beside their bytes", () => {
    const [first] = eventsOf(parsePage(page(BODIES)));

    expect(first?.event.seq).toBe(1);
    expect(first?.body).toBe(BODIES[0]);
  });
});

describe("reading", () => {
  const answering = (status: number, text: string) =>
    pageReader("s 1", "http://gw", vi.fn(async () => new Response(text, { status })) as unknown as typeof fetch);

  test("asks for the session by its quoted id", async () => {
    const asked = vi.fn(async () => new Response(page(BODIES)));

    await pageReader("a/b", "http://gw", asked as unknown as typeof fetch)({ after: 5, limit: 2, types: "run.*,a.b" });

    expect(asked).toHaveBeenCalledWith(
      "http://gw/v1/sessions/a%2Fb/events?after=5&limit=2&types=run.*,a.b",
      expect.anything(),
    );
  });

  test("a refusal is the gateway's own", async () => {
    const problem = JSON.stringify({ type: "t", title: "T", status: 410, code: "cursor-expired", detail: "gone" });

    await expect(answering(410, problem)({ after: 1, limit: 1 })).rejects.toMatchObject({ code: "cursor-expired" });
  });

  test("a proxy's page is no reason, its status is", async () => {
    const failed = answering(502, "<html>")({ after: 1, limit: 1 });

    await expect(failed).rejects.toBeInstanceOf(HoldfastError);
    await expect(failed).rejects.toMatchObject({ status: 502 });
  });

  test("no answer is told as such", async () => {
    const read = pageReader("s", "", () => Promise.reject(new TypeError("Failed to fetch")));

    await expect(read({ after: 0, limit: 1 })).rejects.toMatchObject({ status: 0, code: "unreachable" });
  });
});

describe("curl", () => {
  test("fetches exactly the event", () => {
    expect(curlOf("https://gw.example", "ses_1", 1337)).toBe(
      "curl -sS 'https://gw.example/v1/sessions/ses_1/events?after=1336&limit=1'",
    );
  });

  test("holds for a range, and for an id with anything in it", () => {
    expect(curlOf("http://h", "it's $(id)", 5, 9)).toBe(
      `curl -sS 'http://h${pagePath("it's $(id)", { after: 4, limit: 5 }).replace("'", "'\\''")}'`,
    );
    expect(curlOf("http://h", "$(id)", 1)).not.toContain("$(id) ");
  });
});
