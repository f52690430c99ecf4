import type { Client } from "@holdfast/client";
import type { Run } from "@holdfast/client/fold";
import { type FormEvent, type KeyboardEvent, useState } from "react";
import { useWorkflows } from "../../sessions/workflows.ts";
import { Button } from "../../ui/Button.tsx";
import { Icon } from "../../ui/Icon.tsx";
import type { JsonSchema } from "../../ui/schema/field.ts";
import { Text } from "../../ui/Text.tsx";
import { quickInput } from "./quick.ts";
import "./inputs.css";

interface ComposerProps {
  readonly client: Client;
  readonly sessionId: string;
  /** The latest root run, if there is one. */
  readonly latest: Run | null;
  /** Opens the dialog with all there is to say about a new run. */
  onStart(workflow: string | null): void;
}

/** One line for what a person wants next: the next run while none is under way, a word to the one that is. */
export function Composer({ client, sessionId, latest, onStart }: ComposerProps) {
  const going = latest !== null && (latest.status === "running" || latest.status === "waiting");
  const { items, problem: away } = useWorkflows();
  const [chosen, setChosen] = useState<string | null>(null);
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const runnable = (items ?? []).filter((workflow) => workflow.load_error === null);
  const names = runnable.map((workflow) => workflow.name);
  const usual = latest?.workflow != null && names.includes(latest.workflow) ? latest.workflow : names[0];
  const name = chosen !== null && names.includes(chosen) ? chosen : (usual ?? null);
  const schema = runnable.find((workflow) => workflow.name === name)?.input_schema;
  const quick = quickInput(schema as JsonSchema | null | undefined);
  const usable = going || quick !== null || items === null;

  const send = async (event?: FormEvent) => {
    event?.preventDefault();
    const said = text.trim();
    if (busy || said === "") return;
    setBusy(true);
    setProblem(null);
    try {
      if (going) await client.steer(latest.run_id as string, said);
      else if (quick !== null && name !== null) {
        await client.startRun({ session_id: sessionId, workflow: name, input: quick.toInput(said) });
      }
      setText("");
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  // Enter sends, as in every chat; with Shift it is a line.
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };

  return (
    <form className="composer" onSubmit={send} aria-label={going ? "Tell the run something" : "Start the next run"}>
      <div className="composer-box">
        {!going && (
          <select
            className="composer-workflow"
            aria-label="Workflow"
            value={name ?? ""}
            disabled={names.length === 0}
            onChange={(event) => setChosen(event.target.value)}
          >
            {names.length === 0 && <option value="">{items === null ? "…" : "no workflow"}</option>}
            {names.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        )}
        {usable ? (
          <textarea
            className="composer-text"
            rows={1}
            value={text}
            aria-label={going ? "Message to the run" : (quick?.label ?? "Input")}
            placeholder={going ? "Tell the run something…" : `${capital(quick?.label ?? "Input")}…`}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={pressed}
          />
        ) : (
          <span className="composer-text composer-none">
            {away === null ? "Its input takes a form." : <Text>{away}</Text>}
          </span>
        )}
        {usable && (
          <Button
            type="submit"
            tone={going ? "default" : "primary"}
            busy={busy}
            disabled={text.trim() === ""}
            icon={<Icon name={going ? "send" : "play"} size={14} />}
          >
            {going ? "Send" : "Run"}
          </Button>
        )}
        {!going && (
          <Button
            tone={usable ? "default" : "primary"}
            disabled={name === null}
            title="Fill in the workflow's whole input"
            onClick={() => onStart(name)}
          >
            Form…
          </Button>
        )}
      </div>
      <div role="alert" className="composer-problem">
        {problem !== null && <Text>{problem}</Text>}
      </div>
    </form>
  );
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
