// The frame: navigation, state of the connection, and the view of the route.
import { type ComponentType, type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Overview } from "./features/overview/view";
import { route } from "./router";
import { Heading, span } from "./ui/base";
import { deployment, head, problem } from "./web3/session";
import { type Key, language, t, useLanguage } from "./words";

type View = ComponentType<{ argument: string }>;

/** Views that are loaded when they are opened. The first view comes with the page. */
const LAZY: Partial<Record<string, () => Promise<View>>> = {
  operators: () => import("./features/operators/list").then((module) => module.OperatorList),
  operator: () => import("./features/operators/page").then((module) => module.OperatorPage),
  stake: () => import("./features/stake/view").then((module) => module.Stake),
  tasks: () => import("./features/task/list").then((module) => module.TaskList),
  task: () => import("./features/task/page").then((module) => module.TaskPage),
  audit: () => import("./features/audit/view").then((module) => module.Audit),
  settings: () => import("./features/settings/view").then((module) => module.Settings),
};

const LINKS: readonly (readonly [string, Key])[] = [
  ["", "overview"],
  ["operators", "operators"],
  ["stake", "stake"],
  ["tasks", "tasks"],
  ["audit", "audit"],
  ["settings", "settings"],
];

export function App(): JSX.Element {
  const { view, argument } = route.value;
  return (
    <>
      <a class="skip" href="#main" onClick={focusMain}>
        {t("skip")}
      </a>
      <header>
        <a class="brand" href="#/">
          Covey
        </a>
        <nav aria-label={t("navigation")}>
          {LINKS.map(([name, key]) => (
            <a key={name} href={`#/${name}`} aria-current={isCurrent(name, view) ? "page" : undefined}>
              {t(key)}
            </a>
          ))}
        </nav>
        <Chain />
      </header>
      <Trouble />
      <main id="main" tabIndex={-1}>
        <Body view={view} argument={argument} />
      </main>
      <footer>
        <span title={t("buildHint")}>{t("build", { hash: __SOURCE_HASH__.slice(0, 12) })}</span>
        <label>
          {t("language")}{" "}
          <select value={language.value} onChange={(event) => void useLanguage(event.currentTarget.value === "zh" ? "zh" : "en")}>
            <option value="en">English</option>
            <option value="zh">中文</option>
          </select>
        </label>
      </footer>
    </>
  );
}

/** The hash is the route, so a link to #main would leave the view. */
function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function isCurrent(name: string, view: string): boolean {
  return name === view || (name === "" && view === "overview") || `${view}s` === name;
}

function Body({ view, argument }: { view: string; argument: string }): JSX.Element {
  const [loaded, setLoaded] = useState<{ view: string; component: View } | null>(null);
  const [failed, setFailed] = useState("");
  useEffect(() => {
    setFailed("");
    const load = LAZY[view];
    if (!load) return;
    load().then(
      (component) => setLoaded({ view, component }),
      (error: unknown) => setFailed(String(error)),
    );
  }, [view]);
  if (view === "overview") return <Overview />;
  if (!LAZY[view]) {
    return (
      <>
        <Heading title={t("unknownView", { name: argument })} />
        <p>
          <a href="#/">{t("back")}</a>
        </p>
      </>
    );
  }
  if (failed) return <p role="alert">{failed}</p>;
  if (loaded?.view !== view) return <p aria-busy="true">{t("loading")}</p>;
  const Shown = loaded.component;
  return <Shown argument={argument} key={`${view}/${argument}`} />;
}

function Chain(): JSX.Element | null {
  const now = head.value;
  const chain = deployment.value?.chainId;
  if (!now || chain === undefined) return null;
  return (
    <a class="chain" href="#/settings">
      {t("deploymentChain", { id: chain })} · {t("block", { number: now.number })}
    </a>
  );
}

const OLD_S = 900;

function Trouble(): JSX.Element {
  const found = problem.value;
  const now = head.value;
  const age = now ? Date.now() / 1000 - now.time : 0;
  return (
    <div role="status" class="trouble">
      {found?.kind === "noDeployment" && <p class="problem">{found.reason || t("noDeployment")}</p>}
      {found?.kind === "dead" && <p class="problem">{t("endpointDead", { url: found.url, reason: found.reason })}</p>}
      {found?.kind === "chain" && <p class="problem">{t("endpointChain", { url: found.url, got: found.got, wanted: found.wanted })}</p>}
      {!found && age > OLD_S && <p class="warning">{t("headOld", { age: span(age, false) })}</p>}
    </div>
  );
}
