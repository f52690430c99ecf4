import { EmptyState } from "../ui/EmptyState.tsx";
import { Icon } from "../ui/Icon.tsx";
import { Text } from "../ui/Text.tsx";
import { Link } from "./Link.tsx";
import { sessionsPath } from "./router.ts";
import { useTitle } from "./title.ts";

/** What is shown for an address that names nothing. */
export function UnknownPage({ path }: { readonly path: string }) {
  useTitle("Not found");
  return (
    <EmptyState
      icon={<Icon name="search" size={24} />}
      title="There is no such page"
      action={<Link to={sessionsPath()}>All sessions</Link>}
    >
      <h1 className="visually-hidden">Not found</h1>
      <Text mono>{path}</Text>
    </EmptyState>
  );
}
