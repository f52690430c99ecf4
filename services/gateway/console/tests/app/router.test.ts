import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, test } from "vitest";
import { navigate, placeOf, rewritten, sessionPath, useFragmentParam, usePlace } from "../../src/app/router.ts";

const at = (path: string) => placeOf(new URL(path, "http://localhost"));

describe("an address", () => {
  test.each(["/console", "/console/", "/console/sessions", "/console/sessions/"])("%s is the list", (path) => {
    expect(at(path).route).toEqual({ page: "sessions" });
  });

  test("names a session, whatever characters its id has", () => {
    expect(at("/console/sessions/report.js").route).toEqual({ page: "session", sessionId: "report.js" });
    expect(at(sessionPath("ses_1.2-3")).route).toEqual({ page: "session", sessionId: "ses_1.2-3" });
  });

  test("may name an event", () => {
    const place = at("/console/sessions/s#seq=1337");

    expect(place.fragment.get("seq")).toBe("1337");
    expect(sessionPath("s", 1337)).toBe("/console/sessions/s#seq=1337");
  });

  test.each(["/console/nowhere", "/console/sessions/a/b", "/console/sessions/%E0%A4%A"])(
    "%s is shown as unknown and breaks nothing",
    (path) => {
      expect(at(path).route.page).toBe("unknown");
    },
  );

  test.each([
    ["/console#/sessions/s?seq=1337", "/console/sessions/s#seq=1337"],
    ["/console#/", "/console"],
    ["/console/sessions/s#seq=1337", null],
    ["/console", null],
  ])("%s written with a fragment for a path is rewritten to %s", (given, wanted) => {
    expect(rewritten(new URL(given, "http://localhost"))).toBe(wanted);
  });
});

describe("a page", () => {
  beforeEach(() => history.replaceState(null, "", "/console"));

  test("is told of every move, its own and the browser's", () => {
    const place = renderHook(usePlace);

    act(() => navigate("/console/sessions/s"));

    expect(place.result.current.route).toEqual({ page: "session", sessionId: "s" });
  });

  test("that was opened by a fragment for a path is where that leads", () => {
    history.replaceState(null, "", "/console#/sessions/s?seq=7");

    const place = renderHook(usePlace);

    expect(place.result.current.route).toEqual({ page: "session", sessionId: "s" });
    expect(place.result.current.fragment.get("seq")).toBe("7");
    expect(location.pathname + location.hash).toBe("/console/sessions/s#seq=7");
  });

  test("changes one parameter of the fragment and leaves the others and the history alone", () => {
    history.replaceState(null, "", "/console/sessions/s#tab=events&seq=1");
    const entries = history.length;
    const param = renderHook(() => useFragmentParam("seq"));

    act(() => param.result.current[1]("7"));

    expect(location.hash).toBe("#tab=events&seq=7");
    expect(param.result.current[0]).toBe("7");
    act(() => param.result.current[1](null));
    expect(location.hash).toBe("#tab=events");
    expect(history.length).toBe(entries);
  });
});
