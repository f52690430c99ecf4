import { SessionPage } from "../session/SessionPage.tsx";
import { SessionsPage } from "../sessions/SessionsPage.tsx";
import { Toaster } from "../ui/Toast.tsx";
import { Announcer } from "./announcer.tsx";
import { Broken } from "./Broken.tsx";
import { type Route, usePlace } from "./router.ts";
import { Shell } from "./Shell.tsx";
import { UnknownPage } from "./UnknownPage.tsx";

/** The console. */
export function App() {
  const { route } = usePlace();
  const page = route.page === "session" ? `session ${route.sessionId}` : route.page;
  return (
    <Announcer>
      <Toaster>
        <Shell page={page}>
          <Broken page={page}>
            <Page route={route} />
          </Broken>
        </Shell>
      </Toaster>
    </Announcer>
  );
}

function Page({ route }: { readonly route: Route }) {
  switch (route.page) {
    case "sessions":
      return <SessionsPage />;
    case "session":
      // Another session is another page: nothing of the one before may be seen in it.
      return <SessionPage key={route.sessionId} sessionId={route.sessionId} />;
    case "unknown":
      return <UnknownPage path={route.path} />;
  }
}
