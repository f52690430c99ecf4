import { HoldfastError } from "@holdfast/client";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { describe, expect, test, vi } from "vitest";
import { type JsonSchema, SchemaForm } from "../../src/ui/SchemaForm.tsx";

// What pydantic makes of a model with one of each kind of field.
const EVERYTHING: JsonSchema = {
  $defs: {
    Speed: { enum: ["slow", "fast"], type: "string" },
    Address: {
      type: "object",
      properties: { street: { type: "string", minLength: 1 }, city: { type: "string" } },
      required: ["street", "city"],
    },
  },
  type: "object",
  properties: {
    name: { type: "string", title: "Name", minLength: 2, maxLength: 5, description: "who it is" },
    count: { type: "integer", minimum: 1, maximum: 10, default: 3 },
    ratio: { anyOf: [{ type: "number" }, { type: "null" }], default: null },
    speed: { $ref: "#/$defs/Speed", default: "fast" },
    sure: { type: "boolean" },
    tags: { type: "array", items: { type: "string" }, default: [] },
    home: { $ref: "#/$defs/Address" },
    work: { anyOf: [{ $ref: "#/$defs/Address" }, { type: "null" }], default: null },
    either: { anyOf: [{ type: "integer" }, { type: "string" }], default: 5 },
    extra: { type: "object", additionalProperties: { type: "string" } },
  },
  required: ["name", "sure", "home"],
};

function form(schema: JsonSchema | null, onSubmit: (value: unknown) => Promise<void> = async () => {}) {
  const sent = vi.fn(onSubmit);
  render(<SchemaForm schema={schema} onSubmit={sent} pointer="/input" submitLabel="Send" />);
  return { sent, send: () => press("Send") };
}

// One event per entry, not one per key: nothing here depends on how a text came to be in its field.
function enter(label: RegExp | string, value: string) {
  fireEvent.change(screen.getByLabelText(label), { target: { value } });
}

async function press(name: string) {
  const button = screen.getByText(name);
  await act(async () => fireEvent.click(button));
}

describe("a form made of a schema", () => {
  test("holds the defaults and leaves out what nobody filled in", async () => {
    const { sent, send } = form(EVERYTHING);

    enter(/^Name/, "kelp");
    enter(/^Street/, "Pier 1");
    enter(/^City/, "Monterey");
    await send();

    expect(sent).toHaveBeenCalledExactlyOnceWith({
      name: "kelp",
      count: 3,
      speed: "fast",
      sure: false,
      tags: [],
      home: { street: "Pier 1", city: "Monterey" },
      either: 5,
    });
  });

  test("takes lists, choices, nested objects and raw JSON", async () => {
    const { sent, send } = form(EVERYTHING);

    enter(/^Name/, "kelp");
    fireEvent.click(screen.getByLabelText(/^Sure/));
    enter(/^Street/, "Pier 1");
    enter(/^City/, "Monterey");
    enter(/^Count/, "");
    enter(/^Ratio/, "0.5");
    enter(/^Speed/, "0"); // the first of its options
    await press("Add");
    enter(/^1/, "a tag");
    enter("Kind of Either", "1");
    enter("Extra", '{"a": "b"}');
    await send();

    expect(sent).toHaveBeenCalledExactlyOnceWith({
      name: "kelp",
      ratio: 0.5,
      speed: "slow",
      sure: true,
      tags: ["a tag"],
      home: { street: "Pier 1", city: "Monterey" },
      either: "",
      extra: { a: "b" },
    });
  });

  test("says at each field what is wrong, sends nothing and moves to the first of them", async () => {
    const { sent, send } = form(EVERYTHING);

    enter(/^Name/, "far too long");
    enter(/^Count/, "");
    enter(/^Count/, "11");
    await send();

    expect(sent).not.toHaveBeenCalled();
    const name = screen.getByLabelText(/^Name/);
    expect(name.getAttribute("aria-invalid")).toBe("true");
    expect(described(name)).toContain("has at most 5 characters");
    expect(described(screen.getByLabelText(/^Count/))).toContain("is at most 10");
    expect(described(screen.getByLabelText(/^Street/))).toContain("is required");
    await waitFor(() => expect(document.activeElement).toBe(name));
  });

  test("says nothing about a field before it was left", () => {
    form(EVERYTHING);

    enter(/^Name/, "k");
    expect(described(screen.getByLabelText(/^Name/))).not.toContain("at least");
    fireEvent.blur(screen.getByLabelText(/^Name/));
    expect(described(screen.getByLabelText(/^Name/))).toContain("has at least 2 characters");
  });

  test("shows the server's errors at their fields until the value changes", async () => {
    const { send } = form({ type: "object", properties: { n: { type: "integer" } } }, async () => {
      throw new HoldfastError({
        type: "urn:holdfast:problem:input-invalid",
        title: "Input invalid",
        status: 422,
        code: "input-invalid",
        detail: "the input does not fit",
        errors: [{ in: "body", pointer: "/input/n", detail: "is taken" }],
      });
    });

    enter("N", "7");
    await send();

    expect(described(screen.getByLabelText("N"))).toContain("is taken");
    expect(screen.getByRole("alert").textContent).toBe("");
    enter("N", "8");
    expect(described(screen.getByLabelText("N"))).not.toContain("is taken");
  });

  test("shows what isn't about a field beside the button", async () => {
    const { send } = form({ type: "object", properties: {}, additionalProperties: false }, async () => {
      throw new HoldfastError({
        type: "x",
        title: "Session busy",
        status: 409,
        code: "session-busy",
        detail: "it is busy",
      });
    });

    await send();

    expect(screen.getByRole("alert").textContent).toBe("it is busy");
  });

  test("takes raw JSON where there is no schema, and says where that is broken", async () => {
    const { sent, send } = form(null);
    const field = screen.getByLabelText(/JSON/);

    fireEvent.change(field, { target: { value: "{nope" } });
    await send();
    expect(described(field)).toContain("is not JSON");
    fireEvent.change(field, { target: { value: "[1, 2]" } });
    await send();

    expect(sent).toHaveBeenCalledExactlyOnceWith([1, 2]);
  });

  test("carries its value over to JSON and back", async () => {
    const { sent, send } = form({ type: "object", properties: { a: { type: "string" } }, required: ["a"] });

    enter(/^A/, "one");
    await press("As JSON");
    const raw = screen.getByLabelText(/JSON/) as HTMLTextAreaElement;
    expect(JSON.parse(raw.value)).toEqual({ a: "one" });
    fireEvent.change(raw, { target: { value: '{"a": "two"}' } });
    await press("As a form");

    expect((screen.getByLabelText(/^A/) as HTMLInputElement).value).toBe("two");
    await send();
    expect(sent).toHaveBeenCalledExactlyOnceWith({ a: "two" });
  });

  test("of a schema that refers to itself ends, and the rest of it is JSON", async () => {
    const tree = { type: "object", properties: { child: { $ref: "#" }, name: { type: "string" } }, required: ["name"] };
    const { sent, send } = form(tree);

    fireEvent.change(screen.getAllByLabelText(/^Name/)[0] as HTMLElement, { target: { value: "root" } });
    await send();

    expect(sent).toHaveBeenCalledExactlyOnceWith({ name: "root" });
  });

  test("fetches nothing that a schema refers to", () => {
    const fetched = vi.spyOn(globalThis, "fetch");

    form({ $ref: "https://example.com/schema.json" });

    expect(fetched).not.toHaveBeenCalled();
    expect(screen.getByLabelText(/JSON/)).toBeTruthy();
  });

  test("whose reference isn't quoted right is a form for JSON, not a broken page", () => {
    form({ $ref: "#/$defs/100%" });

    expect(screen.getByLabelText(/JSON/)).toBeTruthy();
  });
});

function described(field: HTMLElement): string {
  return (field.getAttribute("aria-describedby") ?? "")
    .split(" ")
    .map((id) => document.getElementById(id)?.textContent ?? "")
    .join(" ");
}
