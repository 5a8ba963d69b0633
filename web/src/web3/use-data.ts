// A hook that loads data, and loads it again as the chain grows.
import { useEffect, useRef, useState } from "preact/hooks";
import { oneLine } from "./errors";
import { client, head } from "./session";

/** Data that was loaded, or why it was not. `value` stays while a newer one is loaded. */
export interface Loaded<T> {
  value: { of: T } | null;
  error: string;
  reload: () => void;
}

const REFRESH_MS = 6_000;

/** Runs `load` at once, when a dependency or the endpoint changes, and at new heads, at most every six seconds. */
export function useData<T>(load: () => Promise<T>, dependencies: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<{ value: { of: T } | null; error: string }>({ value: null, error: "" });
  const [again, setAgain] = useState(0);
  const last = useRef(0);
  const connection = client.value;
  const number = head.value?.number;
  const ready = number !== undefined;
  const run = useRef(load);
  run.current = load;

  const started = useRef(0);
  const go = (): void => {
    const turn = ++started.current;
    last.current = Date.now();
    run.current().then(
      (value) => turn === started.current && setState({ value: { of: value }, error: "" }),
      (error: unknown) => turn === started.current && setState((before) => ({ ...before, error: oneLine(error) })),
    );
  };
  useEffect(() => {
    setState({ value: null, error: "" });
    if (ready) go();
    return () => {
      ++started.current;
    };
  }, [connection, ready, ...dependencies]);
  // What is shown stays until the newer value is there: a form in it keeps its state.
  useEffect(() => {
    if (ready && again > 0) go();
  }, [again]);
  useEffect(() => {
    if (ready && Date.now() - last.current >= REFRESH_MS) go();
  }, [number]);
  return { ...state, reload: () => setAgain((n) => n + 1) };
}
