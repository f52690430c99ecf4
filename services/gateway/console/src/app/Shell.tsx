/** What is around every page: the bar at the top, the way past it, and what happens when the page changes. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import { IconButton } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { HealthButton } from "./HealthButton.tsx";
import { KeyboardHelp } from "./KeyboardHelp.tsx";
import { Link } from "./Link.tsx";
import { Logo } from "./Logo.tsx";
import { navigate, sessionsPath } from "./router.ts";
import { listenForShortcuts, useShortcut } from "./shortcuts.ts";
import { ThemeButton } from "./ThemeButton.tsx";
import "./Shell.css";

interface ShellProps {
  /** What page it is: when it changes, the focus goes to its heading, as with a page that was loaded. */
  readonly page: string;
  readonly children: ReactNode;
}

/** The frame of the console. */
export function Shell({ page, children }: ShellProps) {
  const [helping, setHelping] = useState(false);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(page);

  useEffect(listenForShortcuts, []);
  useShortcut("?", "Show the keys", () => setHelping(true), { group: "Everywhere" });
  useShortcut("g", "All sessions", () => navigate(sessionsPath()), { group: "Everywhere" });

  useEffect(() => {
    if (shown.current === page) return;
    shown.current = page;
    scrollTo(0, 0);
    const heading = main.current?.querySelector<HTMLElement>("h1");
    if (heading) heading.tabIndex = -1;
    (heading ?? main.current)?.focus({ preventScroll: true });
  }, [page]);

  return (
    <div className="shell">
      <button type="button" className="shell-skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header className="topbar">
        <Link to={sessionsPath()} className="brand" aria-label="Holdfast: all sessions">
          <Logo />
          <span className="brand-name">Holdfast</span>
        </Link>
        {/* Pages put their trail here. */}
        <div id="topbar-trail" className="topbar-trail" />
        <div className="topbar-end">
          <HealthButton />
          <IconButton size="sm" label="Keyboard shortcuts" onClick={() => setHelping(true)} className="topbar-keys">
            <Icon name="keyboard" />
          </IconButton>
          <ThemeButton />
        </div>
      </header>
      <main ref={main} className="shell-main" tabIndex={-1}>
        {children}
      </main>
      {helping && <KeyboardHelp onClose={() => setHelping(false)} />}
    </div>
  );
}
