import { render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { ProblemLine } from "../../src/ui/SchemaForm.tsx";

test("what went wrong is brought into view: a long form hides its end", () => {
  const scrolled = vi.spyOn(Element.prototype, "scrollIntoView").mockImplementation(() => undefined);
  const { rerender } = render(<ProblemLine problem={null} />);
  expect(scrolled).not.toHaveBeenCalled();

  rerender(<ProblemLine problem="the gateway refused it" />);

  expect(scrolled.mock.contexts).toEqual([screen.getByRole("alert")]);
});
