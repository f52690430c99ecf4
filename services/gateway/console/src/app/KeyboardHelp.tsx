import { Dialog } from "../ui/Dialog.tsx";
import { type Shortcut, useShortcuts } from "./shortcuts.ts";
import "./KeyboardHelp.css";

const SHOWN: Readonly<Record<string, string>> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
};

/** Every key that does something on the page that is shown. */
export function KeyboardHelp({ onClose }: { readonly onClose: () => void }) {
  const groups = grouped(useShortcuts());
  return (
    <Dialog title="Keyboard" size="sm" onClose={onClose}>
      {[...groups].map(([group, lines]) => (
        <section key={group} className="keys-group">
          <h3>{group}</h3>
          <dl>
            {[...lines].map(([label, keys]) => (
              <div key={label} className="keys-line">
                <dt>{label}</dt>
                <dd>
                  {keys.map((key) => (
                    <Keys key={key} keys={key} />
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}

function Keys({ keys }: { readonly keys: string }) {
  return (
    <span className="keys">
      {keys.split("+").map((key) => (
        <kbd key={key}>{SHOWN[key] ?? key}</kbd>
      ))}
    </span>
  );
}

function grouped(shortcuts: readonly Shortcut[]): Map<string, Map<string, string[]>> {
  const groups = new Map<string, Map<string, string[]>>();
  for (const { group, label, keys } of shortcuts) {
    const lines = groups.get(group) ?? new Map<string, string[]>();
    groups.set(group, lines);
    const known = lines.get(label) ?? [];
    lines.set(label, known.includes(keys) ? known : [...known, keys]);
  }
  return groups;
}
