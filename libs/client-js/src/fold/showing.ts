/** Components, notices, artifacts, the agents' shared state and the last checkpoint. */

import { type Handlers, pick, place } from "./handler.js";
import { NOTICES_MAX } from "./state.js";

export const SHOWING: Handlers = {
  "component.rendered": ({ components }, event, data) =>
    components.put({ ...place(event), ...pick(data, "component_id", "component_type", "content") }),

  "notification.sent": ({ fields }, event, data) => {
    const where = { ...pick(event, "run_id", "agent", "ts"), level: data.level ?? "info" };
    const notice = { ...where, ...pick(data, "title", "text") };
    fields.notifications = [...fields.notifications, notice].slice(-NOTICES_MAX);
  },

  "artifact.created": ({ artifacts }, event, data) =>
    artifacts.put({
      ...place(event),
      ...pick(data, "artifact_id", "name", "content", "uri", "size"),
      media_type: data.media_type ?? "text/plain",
    }),

  "state.snapshot": ({ shared }, _event, data) => {
    shared.clear();
    shared.set(data.state);
  },

  "state.updated": ({ shared }, _event, data) => shared.update(data.changes),

  "checkpoint.saved": ({ fields }, event, data) => {
    const where = pick(data, "checkpoint_id", "namespace");
    fields.checkpoint = { ...pick(event, "run_id", "ts"), ...where, next: data.next ?? [] };
  },
};
