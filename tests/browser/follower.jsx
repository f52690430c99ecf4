// An application of somebody else's: it folds every event itself, and shows what React's hook makes of the same session.
import { connect, createClient } from "@holdfast/client";
import { apply, emptyState, toPlain } from "@holdfast/client/fold";
import { useSession } from "@holdfast/client/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

const query = new URLSearchParams(location.hash.slice(1));
const [gateway, session, run] = ["gateway", "session", "run"].map((name) => query.get(name));

const folded = emptyState();
const seqs = [];
const connection = connect(`${gateway}/v1/sessions/${session}/stream`, {
  onEvent(event) {
    seqs.push(event.seq);
    apply(folded, event);
  },
});

const client = createClient({ baseUrl: gateway });
let hooked = null;
function Session() {
  hooked = useSession(client, session);
  return (
    <ol>
      {hooked.messages.map((message) => (
        <li key={message.message_id}>{message.content}</li>
      ))}
    </ol>
  );
}
createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Session />
  </StrictMode>,
);

// A run's stream by its address: it goes on until the gateway says 204.
const ofRun = [];
let ending = null;
const running = connect(`${gateway}/v1/runs/${run}/stream`, { onEvent: (event) => ofRun.push(event.type) });
running.ended.then((status) => {
  ending = status.state;
});

window.follower = () => ({
  seqs,
  folded: toPlain(folded),
  status: connection.status.state,
  counters: connection.counters,
  hook: { state: toPlain(hooked.state), status: hooked.status.state, counters: hooked.counters },
  ofRun,
  ending,
});
