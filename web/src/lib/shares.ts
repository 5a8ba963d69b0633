// Shares of an operator's pool (Staking): a share is worth (tokens + VIRTUAL) / (shares + VIRTUAL).

const VIRTUAL = 10n ** 12n;

/** One side of a pool: tokens in wei, and shares. */
export interface Side {
  tokens: bigint;
  shares: bigint;
}

/** The shares that `tokens` wei buy, rounded down. */
export function toShares(tokens: bigint, side: Side): bigint {
  return (tokens * (side.shares + VIRTUAL)) / (side.tokens + VIRTUAL);
}

/** The wei that `shares` are worth, rounded down, at most the side's tokens. */
export function toTokens(shares: bigint, side: Side): bigint {
  const worth = (shares * (side.tokens + VIRTUAL)) / (side.shares + VIRTUAL);
  return worth < side.tokens ? worth : side.tokens;
}

/** The price of a share in units of 10^-18 token. */
export function price(side: Side): bigint {
  return ((side.tokens + VIRTUAL) * 10n ** 18n) / (side.shares + VIRTUAL);
}
