import { useState } from "react";
import { useShortcut } from "../../app/shortcuts.ts";
import { Badge } from "../../ui/Badge.tsx";
import { IconButton } from "../../ui/Button.tsx";
import { classes } from "../../ui/classes.ts";
import { formatCount } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import { Text } from "../../ui/Text.tsx";
import type { ReplayBarProps } from "../contract.ts";
import { moment } from "../timeline/format.ts";
import { Changes } from "./Changes.tsx";
import { type Replay, type ReplayController, SPEEDS } from "./controller.ts";
import { Scrubber } from "./Scrubber.tsx";
import type { Axis } from "./track.ts";
import { useFollow, useReplay, useSurvey } from "./useReplay.ts";
import "./replay.css";

type Move = (move: (controller: ReplayController) => void) => void;

const speedName = (speed: number): string => (speed === Number.POSITIVE_INFINITY ? "max" : `${speed}×`);

/** A session's past under one's fingers: a scrubber over all events, and what plays them. */
export function ReplayBar(props: ReplayBarProps) {
  const { at, head, minSeq, onAt } = props;
  const { controller, replay } = useReplay(props);
  const move = useFollow(props, controller, replay);
  const survey = useSurvey(props, controller);
  const [axis, setAxis] = useState<Axis>("seq");
  const live = at === null;
  useKeys(move, replay, live, () => onAt(null));
  const shown = live ? head : (replay.target ?? at);

  return (
    <section className={classes("replay", !live && "replay-past")} aria-label="Replay">
      <div className="replay-row">
        <Transport replay={replay} move={move} disabled={!controller} />
        <Position replay={replay} live={live} at={shown} head={head} />
        <div className="replay-options">
          <Speeds speed={replay.speed} onSpeed={(speed) => controller?.setSpeed(speed)} />
          <AxisSwitch axis={axis} onAxis={setAxis} />
          <button
            type="button"
            className={classes("replay-live", live && "replay-is-live")}
            onClick={() => onAt(null)}
            aria-pressed={live}
            title="Back to what happens now (L)"
          >
            <span className="replay-live-dot" aria-hidden="true" />
            {live ? "Live" : "Go live"}
          </button>
        </div>
      </div>
      <Scrubber
        axis={axis}
        survey={survey}
        minSeq={Math.max(minSeq, 1)}
        head={head}
        at={shown}
        live={live}
        onSeek={(seq) => move((it) => it.seek(seq))}
        onStep={(by) => move((it) => it.step(by))}
      />
      {replay.error !== null && (
        <p className="replay-error" role="alert">
          <Text>{replay.error}</Text>
        </p>
      )}
      {!live && <Changes replay={replay} />}
    </section>
  );
}

function Transport({
  replay,
  move,
  disabled,
}: {
  readonly replay: Replay;
  readonly move: Move;
  readonly disabled: boolean;
}) {
  return (
    <div className="replay-transport" role="group" aria-label="Play">
      <IconButton
        size="sm"
        label="To the first event (Home)"
        disabled={disabled}
        onClick={() => move((it) => it.toStart())}
      >
        <Icon name="skipBack" />
      </IconButton>
      <IconButton
        size="sm"
        label="To the step before (<)"
        disabled={disabled}
        className="replay-wide"
        onClick={() => move((it) => void it.stepBoundary(-1))}
      >
        <Icon name="chevronsLeft" />
      </IconButton>
      <IconButton size="sm" label="One event back (←)" disabled={disabled} onClick={() => move((it) => it.step(-1))}>
        <Icon name="chevronLeft" />
      </IconButton>
      <IconButton
        label={replay.playing ? "Pause (Space)" : "Play (Space)"}
        tone="default"
        className="replay-play"
        disabled={disabled}
        onClick={() => move((it) => (replay.playing ? it.pause() : it.play()))}
      >
        <Icon name={replay.playing ? "pause" : "play"} />
      </IconButton>
      <IconButton size="sm" label="One event on (→)" disabled={disabled} onClick={() => move((it) => it.step(1))}>
        <Icon name="chevronRight" />
      </IconButton>
      <IconButton
        size="sm"
        label="To the next step (>)"
        disabled={disabled}
        className="replay-wide"
        onClick={() => move((it) => void it.stepBoundary(1))}
      >
        <Icon name="chevronsRight" />
      </IconButton>
      <IconButton
        size="sm"
        label="To the last event (End)"
        disabled={disabled}
        onClick={() => move((it) => it.toEnd())}
      >
        <Icon name="skipForward" />
      </IconButton>
    </div>
  );
}

/** Where one is, in words. */
function Position({
  replay,
  live,
  at,
  head,
}: {
  readonly replay: Replay;
  readonly live: boolean;
  readonly at: number;
  readonly head: number;
}) {
  if (live) {
    return (
      <p className="replay-position">
        <span className="replay-muted">{head === 0 ? "no events yet" : `${formatCount(head)} events`}</span>
      </p>
    );
  }
  const time = replay.ts === null ? null : Date.parse(replay.ts);
  return (
    // Said when it comes to rest: while playing it would never stop talking.
    <p className="replay-position" aria-live={replay.playing ? "off" : "polite"} aria-busy={replay.loading}>
      <Badge tone="waiting">replay</Badge>
      <span>
        <span className="replay-wide">Viewing seq </span>
        <strong>{formatCount(at)}</strong> of {formatCount(head)}
      </span>
      {time !== null && !Number.isNaN(time) && (
        <span className="replay-muted">
          <span className="replay-wide">— as it was at </span>
          {moment(time)}
        </span>
      )}
      {replay.loading && <span className="replay-spinner" role="img" aria-label="loading" />}
    </p>
  );
}

function Speeds({ speed, onSpeed }: { readonly speed: number; onSpeed(speed: number): void }) {
  return (
    <label className="replay-speed" title="Speed ([ and ])">
      <span className="visually-hidden">Speed</span>
      <select value={String(speed)} onChange={(event) => onSpeed(Number(event.target.value))}>
        {SPEEDS.map((one) => (
          <option key={one} value={String(one)}>
            {speedName(one)}
          </option>
        ))}
      </select>
    </label>
  );
}

function AxisSwitch({ axis, onAxis }: { readonly axis: Axis; onAxis(axis: Axis): void }) {
  return (
    <div className="replay-axis" role="group" aria-label="Scrub over">
      {(["seq", "time"] as const).map((one) => (
        <button key={one} type="button" aria-pressed={axis === one} onClick={() => onAxis(one)}>
          {one}
        </button>
      ))}
    </div>
  );
}

const GROUP = "Replay";

function useKeys(move: Move, replay: Replay, live: boolean, goLive: () => void): void {
  const always = { group: GROUP };
  // In the present these scroll: they are the replay's once there is one.
  const past = { group: GROUP, enabled: !live };
  useShortcut("r", "Replay from the beginning", () => move((it) => it.play()), { group: GROUP, enabled: live });
  useShortcut("Space", "Play or pause", () => move((it) => (replay.playing ? it.pause() : it.play())), past);
  useShortcut("ArrowLeft", "One event back", () => move((it) => it.step(-1)), always);
  useShortcut("ArrowRight", "One event on", () => move((it) => it.step(1)), past);
  useShortcut("Shift+ArrowLeft", "Ten events back", () => move((it) => it.step(-10)), always);
  useShortcut("Shift+ArrowRight", "Ten events on", () => move((it) => it.step(10)), past);
  useShortcut("<", "To the step before", () => move((it) => void it.stepBoundary(-1)), always);
  useShortcut(">", "To the next step", () => move((it) => void it.stepBoundary(1)), past);
  useShortcut("Home", "To the first event", () => move((it) => it.toStart()), past);
  useShortcut("End", "To the last event", () => move((it) => it.toEnd()), past);
  useShortcut("[", "Slower", () => move((it) => it.faster(-1)), past);
  useShortcut("]", "Faster", () => move((it) => it.faster(1)), past);
  useShortcut("l", "Back to live", goLive, past);
}
