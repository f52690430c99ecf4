import { useEffect, useRef, useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { useToast } from "../../ui/Toast.tsx";
import { download } from "../download.ts";
import { exportLines } from "./export.ts";
import type { ReadPage } from "./wire.ts";

interface ExportButtonProps {
  readonly read: ReadPage;
  readonly sessionId: string;
  readonly minSeq: number;
  readonly head: number;
}

/** Saves the whole log as JSON Lines; while it is read, the same button tells how far it is and stops it. */
export function ExportButton({ read, sessionId, minSeq, head }: ExportButtonProps) {
  const toast = useToast();
  const running = useRef<AbortController>(null);
  const [percent, setPercent] = useState<number | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const save = async () => {
    const stop = new AbortController();
    running.current = stop;
    setPercent(0);
    try {
      const range = { after: minSeq - 1, until: head };
      const parts = await exportLines(read, range, stop.signal, (seq) =>
        setPercent(Math.floor((100 * (seq - minSeq + 1)) / Math.max(head - minSeq + 1, 1))),
      );
      download(`${sessionId}.jsonl`, parts);
    } catch (error) {
      if (!stop.signal.aborted) {
        toast({ tone: "error", title: "The export stopped", detail: error instanceof Error ? error.message : "" });
      }
    } finally {
      running.current = null;
      setPercent(null);
    }
  };

  if (percent !== null) {
    return (
      <Button size="sm" icon={<Icon name="stop" size={14} />} onClick={() => running.current?.abort()}>
        {percent} %, stop
      </Button>
    );
  }
  return (
    <Button
      size="sm"
      icon={<Icon name="download" size={14} />}
      disabled={head < minSeq}
      title="Save every event, one a line (JSON Lines)"
      onClick={() => void save()}
    >
      Export
    </Button>
  );
}
