/** The one client of the page: the API of the gateway that served it. */

import { createClient } from "@holdfast/client";
import { createContext, useContext } from "react";

// Of the page's own origin: nothing else may be reached from here (the page's policy says so too).
export const client = createClient({ baseUrl: "" });

const Shared = createContext(client);

/** Hands another client to a part of the page; tests do. */
export const ClientProvider = Shared;

/** Return the client of the gateway's API. */
export function useClient() {
  return useContext(Shared);
}
