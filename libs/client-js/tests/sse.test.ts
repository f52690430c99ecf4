import { describe, expect, test } from "vitest";
import { FRAME_CHARS_MAX, type Frame, FrameParser } from "../src/sse.js";

const utf8 = new TextEncoder();

function parse(text: string, chunkSize = Number.POSITIVE_INFINITY): Frame[] {
  const parser = new FrameParser();
  const bytes = utf8.encode(text);
  const frames: Frame[] = [];
  for (let i = 0; i < bytes.length; i += chunkSize) frames.push(...parser.feed(bytes.subarray(i, i + chunkSize)));
  return frames;
}

describe("the parser", () => {
  test("gives the same frames wherever the chunks are split, also within a character or a CR LF", () => {
    const text =
      'id: 1\r\ndata: {"text":"Grüße, 世界 🎉"}\r\n\r\n: hb\n\nid: 2\rdata: a\rdata:b\r\revent: caught-up\ndata: {}\n\n';
    const whole = parse(text);
    expect(whole).toEqual([
      { id: "1", data: '{"text":"Grüße, 世界 🎉"}' },
      { id: "2", data: "a\nb" },
      { event: "caught-up", data: "{}" },
    ]);
    const size = utf8.encode(text).length;
    for (let chunk = 1; chunk <= size; chunk++) expect(parse(text, chunk)).toEqual(whole);
  });

  test("hands out a frame that is an id and nothing else", () => {
    expect(parse("id: 42\n\n")).toEqual([{ id: "42" }]);
  });

  test("hands out nothing of a frame that never ended", () => {
    expect(parse("id: 1\ndata: x\n\nid: 2\ndata: y\n")).toEqual([{ id: "1", data: "x" }]);
  });

  test("skips comments, unknown fields, ids with a NUL and a leading byte order mark", () => {
    expect(parse("\uFEFFdata: x\n: comment\nnonsense\nfoo: bar\nid: a\0b\n\n")).toEqual([{ data: "x" }]);
  });

  test("takes one space after the colon away, and no more", () => {
    expect(parse("data:  x\ndata:y\ndata\n\n")).toEqual([{ data: " x\ny\n" }]);
  });

  test("keeps U+2028 and other separators that end no line", () => {
    expect(parse("data: a\u2028b\u0085c\n\n")).toEqual([{ data: "a\u2028b\u0085c" }]);
  });

  test("knows the wait that was asked for once its line has ended, and ignores one that is no number", () => {
    const parser = new FrameParser();
    parser.feed(utf8.encode("retry: 2500\nretry: soon\nretry: -1\nretry: 9999999999999\n"));
    expect(parser.retryMs).toBe(2500);
  });

  test("refuses a frame without an end", () => {
    const parser = new FrameParser();
    const piece = utf8.encode(`data: ${"x".repeat(64 * 1024)}\n`);
    expect(() => {
      for (let size = 0; size <= FRAME_CHARS_MAX; size += 64 * 1024) parser.feed(piece);
    }).toThrow("too large");
  });

  test("takes heartbeats for ever", () => {
    const parser = new FrameParser();
    const beats = utf8.encode(": hb and something to make it long\n".repeat(10_000));
    for (let i = 0; i < 10; i++) expect(parser.feed(beats)).toEqual([]);
    expect(parser.feed(utf8.encode("id: 1\n\n"))).toEqual([{ id: "1" }]);
  });
});
