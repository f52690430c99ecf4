// npm `eventsource`: it resumes by itself, and 204 closes it for good.
import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
source.onmessage = (event) => console.log(`${event.lastEventId}\t${event.data}`);
source.onerror = (event) => {
  if (source.readyState !== EventSource.CLOSED) return;
  console.log(`end\t${event.code}`);
  clearInterval(alive);
};
// Its wait before it comes back doesn't keep a process alive that has nothing else to do.
const alive = setInterval(() => {}, 60_000);
