import type { Client } from "@holdfast/client";
import { type State, toPlain } from "@holdfast/client/fold";
import { useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { formatCount } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import { useToast } from "../../ui/Toast.tsx";
import { visible } from "../../ui/visible.ts";
import { differenceOf } from "./compare.ts";

interface StateCheckProps {
  readonly client: Client;
  readonly sessionId: string;
  /** What the page shows: the live state, or the past one of a replay. */
  readonly state: State;
}

type Verdict =
  | { readonly kind: "busy" }
  | { readonly kind: "same"; readonly seq: number }
  | { readonly kind: "different"; readonly seq: number; readonly where: string }
  | { readonly kind: "unknown"; readonly why: string };

/** Asks the gateway for its own state at the seq that is shown, and tells whether the page folded the very same. */
export function StateCheck({ client, sessionId, state }: StateCheckProps) {
  const toast = useToast();
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [copied, setCopied] = useState(false);

  const compare = async () => {
    // The state goes on while the gateway answers: what is compared is this moment's.
    const mine = toPlain(state);
    setVerdict({ kind: "busy" });
    try {
      const { min_seq: _, ...theirs } = await client.state(sessionId, { at: mine.seq });
      const where = differenceOf(mine, theirs);
      setVerdict(where === null ? { kind: "same", seq: mine.seq } : { kind: "different", seq: mine.seq, where });
    } catch (error) {
      setVerdict({ kind: "unknown", why: error instanceof Error ? error.message : String(error) });
    }
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(JSON.stringify(toPlain(state)));
      setCopied(true);
      setTimeout(() => setCopied(false), 1_500);
    } catch {
      toast({ tone: "error", title: "The browser doesn't let this page copy" });
    }
  };

  return (
    <div className="proof-check">
      <div className="proof-check-actions">
        <Button icon={<Icon name="check" />} busy={verdict?.kind === "busy"} onClick={() => void compare()}>
          Compare with the gateway
        </Button>
        <Button icon={<Icon name={copied ? "check" : "copy"} />} onClick={() => void copy()}>
          {copied ? "Copied" : "Copy state"}
        </Button>
      </div>
      <p role="status" className={verdict === null ? undefined : LOOKS[verdict.kind]}>
        {verdict === null
          ? "What this page made of its events must be what the gateway makes of them."
          : words(verdict)}
      </p>
    </div>
  );
}

const LOOKS: Readonly<Record<Verdict["kind"], string | undefined>> = {
  busy: undefined,
  same: "proof-good",
  different: "proof-broken",
  unknown: "proof-broken",
};

function words(verdict: Verdict): string {
  switch (verdict.kind) {
    case "busy":
      return "Asking the gateway…";
    case "same":
      return `The same at event ${formatCount(verdict.seq)}, field by field.`;
    case "different":
      return `Not the same at event ${formatCount(verdict.seq)}: ${visible(verdict.where)}.`;
    case "unknown":
      return `The gateway gave no answer: ${visible(verdict.why)}`;
  }
}
