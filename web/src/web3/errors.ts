// What went wrong, in one line.
import { BaseError, ContractFunctionRevertedError, UserRejectedRequestError } from "viem";

/** The first line of an error, without the address of the endpoint. */
export function oneLine(error: unknown): string {
  if (error instanceof BaseError) return error.details.replace(/^"|(\\n)?"$/g, "") || error.shortMessage;
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}

/** Whether the person refused in the wallet. */
export function isRejected(error: unknown): boolean {
  return error instanceof BaseError
    ? error.walk((cause) => cause instanceof UserRejectedRequestError || code(cause) === 4001) !== null
    : code(error) === 4001;
}

function code(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

/** The custom error of a reverted call with its arguments, or null. */
export function revertOf(error: unknown): { name: string; args: readonly unknown[] } | null {
  const cause = error instanceof BaseError ? error.walk((inner) => inner instanceof ContractFunctionRevertedError) : null;
  if (!(cause instanceof ContractFunctionRevertedError)) return null;
  if (cause.data) return { name: cause.data.errorName, args: cause.data.args ?? [] };
  return { name: cause.reason ?? cause.signature ?? "reverted", args: [] };
}
