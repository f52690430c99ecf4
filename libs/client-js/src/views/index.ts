/**
 * Ways to look at a state, without an opinion on markup: what a page shows, in the order in which to show it. All of
 * them are functions of the state; none keeps anything.
 */

export { latestRun, openInputs, openRuns, progressOf, type Thinking, thinking } from "./activity.js";
export { withoutAttempts } from "./attempts.js";
export type { Bar, BarKind, Span } from "./bars.js";
export { type ConversationItem, type ConversationOptions, conversation, type ItemKind } from "./conversation.js";
export { ofRun } from "./of_run.js";
export { type Row, type Timeline, type TimelineOptions, timeline } from "./timeline.js";
