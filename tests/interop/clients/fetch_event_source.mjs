// npm `@microsoft/fetch-event-source`, as its README says: `onclose` and `onerror` that don't throw a fatal error retry.
// It wants a window and a document.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = (await import("@microsoft/fetch-event-source")).default;

class Fatal extends Error {}

let lastId = {};
await fetchEventSource(process.argv[2], {
  openWhenHidden: true,
  // Its own last id counts an event as soon as the line with its id has come, and one that is cut there would be lost.
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...lastId } }),
  async onopen(response) {
    if (response.status !== 200) throw new Fatal(response.status);
  },
  onmessage: ({ event, id, data }) => {
    if (id !== "") lastId = { "last-event-id": id };
    if (event === "" && data !== "") console.log(`${id}\t${data}`);
  },
  onclose() {
    throw new Error("closed by the server: come back");
  },
  onerror(error) {
    if (error instanceof Fatal) throw error;
  },
}).catch((error) => console.log(`end\t${error.message}`));
