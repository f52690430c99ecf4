/** States of a connection in words. */

import type { ConnectionState } from "@holdfast/client";

export const STATES: Readonly<Record<ConnectionState, string>> = {
  connecting: "connecting",
  "catching-up": "catching up",
  live: "live",
  waiting: "reconnecting",
  stalled: "no worker",
  ended: "ended",
  failed: "refused",
};

export const EXPLAINED: Readonly<Record<ConnectionState, string>> = {
  connecting: "A request is under way.",
  "catching-up": "Events that happened before are coming in.",
  live: "Every event that exists is here; the next one comes as it happens.",
  waiting: "No stream at the moment; the cursor says where to go on.",
  stalled: "Connected, but the run's worker is gone and no other has taken over yet.",
  ended: "Nothing follows: the connection was closed.",
  failed: "Refused for good.",
};
