import { render } from "@testing-library/react";
import { describe, expect, test } from "vitest";
import { parseInline, safeHref } from "../../../src/session/conversation/inline.ts";
import { Markdown } from "../../../src/session/conversation/Markdown.tsx";
import { parseMarkdown } from "../../../src/session/conversation/markdown.ts";

function shown(text: string): HTMLElement {
  return render(<Markdown text={text} />).container;
}

describe("what a text may do to the page", () => {
  test("tags are text, whatever block they stand in", () => {
    const tag = '<img src="x" onerror="alert(1)"><script>alert(1)</script>';
    const page = shown(
      `${tag}\n\n# ${tag}\n\n- ${tag}\n\n> ${tag}\n\n| a |\n|---|\n| ${tag} |\n\n\`${tag}\`\n\n\`\`\`\n${tag}\n\`\`\``,
    );

    expect(page.querySelector("img, script")).toBeNull();
    expect(page.textContent?.split(tag)).toHaveLength(8);
  });

  test.each([
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>)",
    "[x](vbscript:x)",
    "[x](//example.com)",
    "[x](/v1/sessions)",
    "[x](https:example.com)",
    "[x](http://user:secret@example.com)",
    "[x](https://exa\u202Emple.com)",
    "[x](https://example.com\u0000/)",
    "[x](java\nscript:alert(1))",
    "<https://example.com>onclick",
  ])("%j is no link to what it names", (written) => {
    const links = [...shown(written).querySelectorAll("a")].map((link) => link.getAttribute("href"));

    expect(links.filter((href) => !/^https:\/\/example\.com\/?$/.test(href ?? ""))).toEqual([]);
    expect(links.length === 0 || written.startsWith("<")).toBe(true);
  });

  test("a link opens elsewhere, tells nobody where it was, and shows its target on hover", () => {
    const link = shown("see [the **history**](https://example.com/tea)").querySelector("a");

    expect(link?.getAttribute("href")).toBe("https://example.com/tea");
    expect(link?.rel).toBe("noopener noreferrer");
    expect(link?.title).toBe("https://example.com/tea");
    expect(link?.textContent).toBe("the history");
  });

  test("what hides or turns text around is seen", () => {
    expect(shown("a\u202Eb\u001B[31m").textContent).not.toMatch(/[\u202E\u001B]/);
  });

  test("a picture is its words, not a request", () => {
    expect(shown("![alt](https://example.com/pixel.png)").querySelector("img")).toBeNull();
  });
});

describe("what is understood", () => {
  test("paragraphs, headings, rules and quotes", () => {
    const kinds = parseMarkdown("# A #\ntext\nmore\n\n---\n> said\n> twice").map((block) => block.kind);

    expect(kinds).toEqual(["heading", "paragraph", "rule", "quote"]);
  });

  test("lists in lists, numbers that begin anywhere, and boxes", () => {
    const page = shown("3. three\n4. four\n   - in\n   - it\n\n- [x] done\n- [ ] open");

    expect(page.querySelector("ol")?.getAttribute("start")).toBe("3");
    expect([...page.querySelectorAll("ol > li")].map((item) => item.querySelectorAll("li").length)).toEqual([0, 2]);
    expect([...page.querySelectorAll("input")].map((box) => box.checked)).toEqual([true, false]);
  });

  test("a fence that is not closed yet holds the rest", () => {
    expect(parseMarkdown("```py\na = 1\n\n# no heading")).toEqual([
      { kind: "code", language: "py", text: "a = 1\n\n# no heading" },
    ]);
  });

  test("a table's rows have as many cells as its head", () => {
    const [table] = parseMarkdown("| a | b |\n|---|:-:|\n| 1 |\n| 1 | 2 | 3 |");

    expect(table).toMatchObject({
      kind: "table",
      rows: [
        [["1"], []],
        [["1"], ["2"]],
      ],
    });
  });

  test("marks that nothing closes, and those within names, are characters", () => {
    expect(parseInline("2 * 3 ** 4 snake_case_name _ `x")).toEqual(["2 * 3 ** 4 snake_case_name _ `x"]);
  });

  test("bold, italic, struck and code within each other", () => {
    expect(parseInline("**a *b* `c*`** ~~d~~")).toEqual([
      {
        kind: "strong",
        children: ["a ", { kind: "em", children: ["b"] }, " ", { kind: "code", text: "c*" }],
      },
      " ",
      { kind: "del", children: ["d"] },
    ]);
  });

  test("an address in a sentence ends before the sentence does", () => {
    expect(parseInline("(see https://example.org/x?y=1).")).toEqual([
      "(see ",
      { kind: "link", href: "https://example.org/x?y=1", children: ["https://example.org/x?y=1"] },
      ").",
    ]);
  });

  test("plain text keeps its lines, but for those that were broken for their length", () => {
    const long = "this line is so long that it can only have been broken";
    const wrapped = `${long} here\nfor its length\nshort`;

    expect(parseMarkdown(wrapped, "keep")).toEqual([
      { kind: "paragraph", children: [`${long} here for its length\nshort`] },
    ]);
    expect(parseMarkdown("a\nb", "join")).toEqual([{ kind: "paragraph", children: ["a b"] }]);
  });
});

describe("what it costs", () => {
  const much = 200_000;
  test.each([
    ["stars", "*a ".repeat(much / 3)],
    ["unclosed stars", "**a".repeat(much / 3)],
    ["brackets", "[".repeat(much)],
    ["half links", "[a](".repeat(much / 4)],
    ["backticks", "`".repeat(much)],
    ["ticks of many lengths", Array.from({ length: 600 }, (_, n) => "`".repeat(n)).join(" ")],
    ["hashes", `# ${"# ".repeat(much / 2)}x`],
    ["spaces", `#${" ".repeat(much)}x`],
    ["table rules", `|a\n${"-".repeat(much)}x`],
    ["table rules of spaces", `|a\n-${" ".repeat(much)}x`],
    ["quotes in quotes", ">".repeat(much)],
    ["lists in lists", Array.from({ length: 500 }, (_, n) => `${" ".repeat(n * 2)}- x`).join("\n")],
    ["rules that are none", `${"- ".repeat(much / 2)}x`],
    ["addresses", "https://example.com/.".repeat(much / 21)],
    ["dots after an address", `https://example.com/${".".repeat(much)} x`],
    ["one line", "word ".repeat(much / 5)],
    ["empty lines", "\n".repeat(much)],
  ])("a fifth of a megabyte of %s takes no noticeable time", (_, text) => {
    const began = performance.now();

    parseMarkdown(text, "keep");

    // A quadratic parser takes minutes.
    expect(performance.now() - began).toBeLessThan(4_000);
  });
});

describe("addresses", () => {
  test("only http and https may be followed", () => {
    expect(safeHref("https://example.com/a b")).toBeNull();
    expect(safeHref("ftp://example.com")).toBeNull();
    expect(safeHref("http://example.com")).toBe("http://example.com/");
  });
});
