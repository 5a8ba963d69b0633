// Hash routes: the page works under any path, for instance /ipfs/<cid>/.
import { signal } from "@preact/signals";

/** A view and its argument. */
export interface Route {
  view: "overview" | "operators" | "operator" | "stake" | "tasks" | "task" | "audit" | "settings" | "unknown";
  argument: string;
}

const VIEWS = new Set(["operators", "operator", "stake", "tasks", "task", "audit", "settings"]);

/** The route of a location's hash: "#/task/3" is the view "task" with the argument "3". */
export function parseRoute(hash: string): Route {
  const [view = "", argument = ""] = hash.replace(/^#\/?/, "").split("/").map(decode);
  if (view === "") return { view: "overview", argument: "" };
  return VIEWS.has(view) ? { view: view as Route["view"], argument } : { view: "unknown", argument: view };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The current route. */
export const route = signal<Route>(parseRoute(location.hash));
addEventListener("hashchange", () => {
  route.value = parseRoute(location.hash);
});
