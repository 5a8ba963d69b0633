// First topics of events.
import { type AbiEvent, type Hex } from "viem";
import { toEventSelector } from "viem/utils";

/** The first topic of an event: the hash of its signature. */
export function topicOf(event: AbiEvent): Hex {
  return toEventSelector(event);
}
