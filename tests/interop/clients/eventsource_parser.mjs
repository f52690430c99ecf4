// npm `eventsource-parser` with fetch: the parser hands out ids and the wait, coming back is a loop around it.
import { createParser } from "eventsource-parser";

let lastId = "";
let wait = 1000;
const parser = createParser({
  onId: (id) => (lastId = id),
  onRetry: (ms) => (wait = ms),
  onEvent: ({ event, id, data }) => {
    if (event === undefined) console.log(`${id}\t${data}`);
  },
});
for (;;) {
  try {
    const headers = lastId === "" ? {} : { "Last-Event-ID": lastId };
    const response = await fetch(process.argv[2], { headers });
    if (response.status !== 200) {
      console.log(`end\t${response.status}`);
      break;
    }
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) parser.feed(text);
  } catch {
    // cut: come back
  }
  parser.reset();
  await new Promise((resolve) => setTimeout(resolve, wait));
}
