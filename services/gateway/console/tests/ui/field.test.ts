import { expect, test } from "vitest";
import { fieldOf } from "../../src/ui/schema/field.ts";

test.each(["#/$defs/100%", "#/$defs/nothing", "#/$defs/%E0%A4%A", "https://elsewhere.example/schema.json"])(
  "a reference to %s, which leads nowhere, is a field for any JSON",
  (ref) => {
    expect(fieldOf({ $ref: ref, $defs: {} }).kind).toBe("json");
  },
);
