import { render } from "@testing-library/react";
import { describe, expect, test } from "vitest";
import { Text } from "../../src/ui/Text.tsx";
import { pieces, visible } from "../../src/ui/visible.ts";

describe("text that others wrote", () => {
  test("is never markup", () => {
    const { container } = render(<Text>{"<script>alert(1)</script><img src=x onerror=alert(1)>"}</Text>);

    expect(container.querySelector("script, img")).toBeNull();
    expect(container.textContent).toContain("<script>alert(1)</script>");
  });

  test("is isolated from the direction of what stands beside it", () => {
    const { container } = render(<Text>שלום</Text>);

    expect(container.querySelector("bdi")?.textContent).toBe("שלום");
  });

  test("shows what would turn its direction around instead of obeying it", () => {
    const { container } = render(<Text>{"invoice\u202Egpj.exe"}</Text>);

    expect(container.textContent).toBe("invoice[U+202E]gpj.exe");
    expect(container.querySelector(".text-unseen")?.getAttribute("title")).toBe("U+202E right-to-left override");
  });

  test.each([
    ["\u001b[31mred\u001b[0m", "␛[31mred␛[0m"],
    ["a\u0000b\u0007", "a␀b␇"],
    ["a\u007f\u009b", "a␡[U+009B]"],
    ["a\u2028b\u2029c", "a[U+2028]b[U+2029]c"],
    ["a\u200b\ufeffb", "a[U+200B][U+FEFF]b"],
    ["\u{e0041}hidden", "[U+E0041]hidden"],
    ["half \ud83d a pair", "half [U+D83D] a pair"],
    ["rewritten\rline", "rewritten␍line"],
  ])("%j is shown as %j", (given, shown) => {
    expect(visible(given)).toBe(shown);
  });

  test.each(["a\tb\nc", "a 👩‍👩‍👧 family", "نمی‌خواهم", "ça va 世界"])("%j is left as it is", (given) => {
    expect(pieces(given)).toEqual([given]);
  });

  test("keeps Windows' line ends as line ends", () => {
    expect(visible("a\r\nb")).toBe("a\nb");
  });

  test("is cut at its limit, between characters", () => {
    const { container, getByRole } = render(<Text limit={3}>{"ab😀cd"}</Text>);

    expect(container.querySelector("bdi")?.textContent).toBe("ab");
    expect(getByRole("button").textContent).toContain("4 more characters");
  });
});
