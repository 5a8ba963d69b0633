// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Staking: operator pools, delegation, unbonding, earmarks, slashing, checkpoints
/// @notice An operator is an owner address with one pool. Anyone can delegate CVY to a pool whose operator holds its self-bond, and
/// receives shares. Undelegating opens an entry of a fixed amount. It can be withdrawn after `unbondingPeriod`; until then it is
/// slashed for earmarks that are older than the entry, and for no others. Duty contracts (a governed set) earmark an operator's
/// stake for one duty at a time and slash at most the earmark. Anyone can add rewards.
/// @dev Amounts are in wei of CVY (18 decimals) and fit 88 bits. Times are unix seconds (ERC-6372 timestamp mode).
interface IStaking {
    // ------------------------------------------------------------------ types

    /// @notice Fixed at deployment.
    struct StakingConfig {
        uint256 minSelfBond; // active tokens that an operator must own in its own pool to be eligible
        uint40 unbondingPeriod; // seconds, at least maxTaskLife
        uint40 maxTaskLife; // maximum duration of a task or federated round, in seconds
        uint40 dripPeriod; // seconds over which a reward reaches the share price
        uint40 commissionNotice; // seconds between announcing a higher commission and applying it
        uint16 maxCommissionBps; // 1/10000
        uint16 absenceCapBps; // maximum share of a pool that absences can cost per unbonding period, 1/10000
        uint40 jailPeriod; // seconds
        uint8 leverage; // an operator's earmarks are at most this multiple of its self-bond
    }

    /// @notice One slash. `gen` and `net` are what `earmark` returned for the earmark behind the fault.
    struct SlashOrder {
        address operator;
        uint256 earmarked; // left in that earmark; `amount` must not exceed it
        uint256 amount;
        uint24 gen;
        uint48 net;
        address reporter; // receives at most half of the loss of the operator's own shares, and at most a tenth of the slash
        bool capped; // limited per operator and unbonding period; reaching the limit jails
        bool ownFirst; // the operator's own shares are burnt first, the rest is taken in proportion
        bool jails; // jails the operator for `jailPeriod`
    }

    /// @notice State of a pool, with the drip accrued up to this block.
    struct PoolView {
        address signer; // hot key of the node; zero: not registered
        address rewardAddress; // receives commission, and the part of a reward that the pool's stake does not back
        uint16 commissionBps; // share of rewards that goes to rewardAddress, 1/10000
        uint16 pendingCommissionBps; // announced commission, applied from `commissionFrom` to one notice later (0: none)
        uint40 commissionFrom;
        uint40 jailedUntil; // 0: not jailed; else jailed until `unjail` is called, at this time or later
        uint256 activeTokens;
        uint256 activeShares;
        uint256 unbondingTokens; // sum of the entries that will be withdrawn, before slashes
        uint256 movedTokens; // sum of the entries that moved to another pool, before slashes, in multiples of 2^40 wei
        uint256 earmarked;
        uint256 undripped; // rewards not yet in activeTokens
        uint40 dripEnd;
        uint256 dripBacking; // active shares when the running drip was added, weighted by amount, in multiples of 2^40
        uint256 selfBond; // active tokens that the operator itself owns in its pool
        bool bonded; // others can delegate: the self-bond was at least `minSelfBond` when own shares last changed, or at a slash
        uint24 gen; // number of the current cohort of leavers
        uint24 records; // slashes that entries share
        uint48 net; // undelegated less cancelled so far, in 2^40 wei, modulo 2^48
    }

    /// @notice An entry of a delegator that left a pool.
    struct EntryView {
        uint256 tokens; // value when it left the pool; zero: no such entry, or withdrawn
        uint256 worth; // after slashes
        uint40 until; // withdrawable from then on
        uint24 gen; // cohort; slashed by records of this or an earlier one
        uint24 records; // records that were counted already
        address movedTo; // pool that its stake moved to, or zero
        uint256 shares; // of `movedTo`
    }

    // ------------------------------------------------------------------ errors

    error StakingAlreadyRegistered(address operator);
    error StakingUnknownOperator(address operator);
    error StakingSignerTaken(address signer);
    error StakingZeroAddress();
    error StakingZeroAmount();
    error StakingAmountTooLarge(uint256 amount);
    error StakingCommissionTooHigh(uint16 bps, uint16 max);
    error StakingCommissionNotDue(uint40 from);
    error StakingSlippage(uint256 got, uint256 wanted);
    error StakingInsufficientShares(uint256 owned, uint256 wanted);
    error StakingUnbondingNotOver(uint40 until);
    error StakingUnknownEntry(address operator, address owner, uint256 index);
    error StakingMovedEntry(address operator, address owner, uint256 index);
    error StakingNotBonded(address operator); // accepts stake of its operator only
    error StakingEarmarked(address operator, uint256 earmarked); // own shares stay while any earmark is held
    error StakingSamePool(address operator);
    error StakingNoConsent(address signer, address operator); // the signature is not the signer's consent
    error StakingCommissionLapsed(uint40 lapsedAt);
    error StakingNotDuty(address caller);
    error StakingNotEligible(address operator);
    error StakingStakeTooLow(address operator, uint256 free, uint256 wanted);
    error StakingEarmarkTooLow(address operator, uint256 earmarked, uint256 wanted);
    error StakingNotJailed(address operator);
    error StakingJailed(address operator, uint40 until);
    error StakingPaused();
    error StakingFutureLookup(uint48 timepoint, uint48 clock);
    error StakingSlashAboveEarmark(uint256 amount, uint256 earmark);
    error StakingBadConfig(bytes32 name); // name of the field, left-aligned ASCII
    error StakingNothingOwed(address account);
    error StakingPoolRuined(address operator); // shares are worth less than 2^-20 of their cost: accepts no stake or duty

    // ------------------------------------------------------------------ events

    event OperatorRegistered(
        address indexed operator, address indexed signer, address rewardAddress, uint16 commissionBps
    );
    event SignerChanged(address indexed operator, address indexed previousSigner, address indexed newSigner);
    event RewardAddressChanged(address indexed operator, address rewardAddress);
    event CommissionAnnounced(address indexed operator, uint16 commissionBps, uint40 from);
    event CommissionChanged(address indexed operator, uint16 commissionBps);
    event Delegated(address indexed operator, address indexed delegator, uint256 amount, uint256 shares);
    event Undelegated(
        address indexed operator,
        address indexed delegator,
        uint256 index,
        uint256 shares,
        uint256 amount,
        uint24 gen,
        uint40 until
    );
    /// @notice `amount` was paid to the owner, `lost` to slashes since the entry left.
    event Withdrawn(address indexed operator, address indexed delegator, uint256 index, uint256 amount, uint256 lost);
    /// @notice Records up to `records` were counted; more are left.
    event EntryCounted(
        address indexed operator, address indexed delegator, uint256 index, uint256 worth, uint24 records
    );
    event Cancelled(
        address indexed operator, address indexed delegator, uint256 index, uint256 amount, uint256 lost, uint256 shares
    );
    event Redelegated(
        address indexed from,
        address indexed to,
        address indexed delegator,
        uint256 index,
        uint256 sharesFrom,
        uint256 amount,
        uint256 sharesTo,
        uint24 gen,
        uint40 until
    );
    /// @notice A moved entry ended: `shares` of `to` became its owner's, `lost` were sold for `toTreasury`.
    event MoveEnded(
        address indexed operator,
        address indexed to,
        address indexed delegator,
        uint256 index,
        uint256 shares,
        uint256 lost,
        uint256 toTreasury
    );
    event Earmarked(address indexed operator, address indexed duty, uint256 amount, uint256 total);
    event EarmarkReleased(address indexed operator, address indexed duty, uint256 amount, uint256 total);
    event Slashed(
        address indexed operator,
        address indexed duty,
        uint256 fromActive, // `fromOwn` included
        uint256 fromUnbonding, // from entries; credited to the treasury as each is withdrawn
        uint256 fromOwn, // by burning `ownShares` of the operator
        uint256 ownShares,
        address reporter,
        uint256 reporterReward,
        uint256 toTreasury,
        bool capped
    );
    /// @notice Entries of cohort `gen` or a later one that left before this keep `keep` / 2^128 of their worth.
    event RecordAdded(address indexed operator, uint24 index, uint24 gen, uint128 keep);
    /// @notice The period in which capped slashes are limited, [since, until).
    event AbsencePeriod(address indexed operator, uint40 since, uint40 until);
    event Jailed(address indexed operator, uint40 until);
    event Unjailed(address indexed operator);
    /// @notice `paid` went to the reward address: commission, and what the pool's stake does not back. The rest drips.
    event RewardAdded(address indexed operator, uint256 amount, uint256 paid, uint256 dripping, uint40 dripEnd);
    event Dripped(address indexed operator, uint256 toActive, uint256 toRewardAddress);
    event OwedPaid(address indexed account, uint256 amount);
    /// @notice A dismissed duty (`until` is not the maximum) makes no new earmarks; it slashes before `until`.
    event DutySet(address indexed duty, uint40 until);
    event PausedSet(bool paused);

    // ------------------------------------------------------------------ operators (caller is the operator's owner address)

    /// @notice Open a pool. The caller becomes its operator.
    /// @param signer hot key that acts for the operator; must not act for another operator
    /// @param rewardAddress receives commission
    /// @param commissionBps share of rewards that is paid to `rewardAddress`, 1/10000
    /// @param signature the signer's over EIP-712 `Consent(address operator,uint256 nonce)`, 65 bytes r, s, v; domain "Covey Staking",
    /// version "1", the chain and this contract; nonce from `consentNonceOf`
    function registerOperator(address signer, address rewardAddress, uint16 commissionBps, bytes calldata signature)
        external;

    /// @notice Replace the signer. The previous signer loses its rights in this call.
    /// @param signature consent of the new signer, see `registerOperator`
    function setSigner(address newSigner, bytes calldata signature) external;

    /// @notice Replace the address that receives commission.
    function setRewardAddress(address newRewardAddress) external;

    /// @notice Lower the commission at once, or announce a higher one that can be applied after `commissionNotice`.
    function setCommission(uint16 newCommissionBps) external;

    /// @notice Apply an announced commission, within one notice period after it is due. Later it lapses. Anyone can call.
    function applyCommission(address operator) external;

    // ------------------------------------------------------------------ delegators

    /// @notice Buy shares of a pool. The operator's own delegation is its self-bond.
    /// @return shares bought, at least `minShares`
    function delegate(address operator, uint256 amount, uint256 minShares) external returns (uint256 shares);

    /// @notice `delegate` with an ERC-2612 permit. If the permit was already used, the existing allowance counts.
    function delegateWithPermit(
        address operator,
        uint256 amount,
        uint256 minShares,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares);

    /// @notice Take shares out of a pool. Their value can be withdrawn after `unbondingPeriod`. Until it is, it bears slashes for
    /// earmarks made before it left. An operator's own shares stay while it has any earmark.
    /// @param minTokens reverts if the shares are worth less
    /// @return index of the entry among those of (operator, caller)
    function undelegate(address operator, uint256 shares, uint256 minTokens) external returns (uint256 index);

    /// @notice End a finished entry: pay its worth to its owner or, if it moved, give its owner the shares. Anyone can call.
    /// @dev Counts at most 32 slashes a call. If more are left, it stores what it counted and returns 0: call again.
    /// @return amount tokens paid, or shares given
    function withdraw(address operator, address owner, uint256 index) external returns (uint256 amount);

    /// @notice Delegate the worth of the caller's entry to the pool that it left, at any time. Counts like `withdraw`.
    /// @return shares bought; 0: slashes are left to count, call again
    function cancel(address operator, uint256 index) external returns (uint256 shares);

    /// @notice Move stake to another pool at once, at most what `from` has not earmarked. For `unbondingPeriod` the shares belong to an
    /// entry of `from`: slashed in both pools, without a vote; `withdraw` of the entry then gives them to the caller.
    /// @param minShares reverts if it buys fewer shares of `to`
    function redelegate(address from, address to, uint256 shares, uint256 minShares) external returns (uint256 index);

    // ------------------------------------------------------------------ duty contracts

    /// @notice Earmark stake for one duty. All earmarks of an operator are at most `leverage` times its self-bond.
    /// @param asOf creation time of the task; the operator must have had the stake then and must have it now
    /// @return gen cohort that is slashed for it, with later ones
    /// @return net undelegated less cancelled so far; both are passed back to `slash`
    function earmark(address operator, uint256 amount, uint48 asOf) external returns (uint24 gen, uint48 net);

    /// @notice Release a part of the caller's earmark.
    function releaseEarmark(address operator, uint256 amount) external;

    /// @notice Slash active stake and what left since the earmark, in proportion, and reduce the earmark by the amount taken. The
    /// reporter and the treasury are credited; see `payOwed`.
    /// @return taken from active stake and from entries
    function slash(SlashOrder calldata order) external returns (uint256 taken);

    /// @notice Add a reward to a pool; the caller has approved `amount`. Anyone can call. Commission goes to the reward address. Of
    /// the rest the part min(1, 2 · active tokens / backing) drips into the pool, and what is left goes to the reward address. A drip
    /// is divided in the same way as it accrues, by the active shares of now and at its additions.
    /// @param backing stake that earned the reward: the earmark of a validator, the minimum self-bond of a trainer; 0 counts as backed
    function addReward(address operator, uint256 amount, uint256 backing) external;

    // ------------------------------------------------------------------ upkeep

    /// @notice Store a pool's drip up to now, and whether it is bonded. Optional: views and other calls include the drip. Anyone can call.
    function accrue(address operator) external;

    /// @notice Leave jail, once the jail period is over and the self-bond is restored. The caller is the operator.
    function unjail() external;

    /// @notice Pay out an account's credit. Slashes credit the treasury and reporters; drips that the pool's stake does not back
    /// credit its reward address. Anyone can call.
    function payOwed(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ governance

    /// @notice Add or dismiss a duty contract. A dismissed one makes no new earmarks; it slashes for `maxTaskLife` more, and
    /// releases earmarks for `maxTaskLife + unbondingPeriod` more. Restricted.
    function setDuty(address duty, bool allowed) external;

    /// @notice Pause or resume delegation and new earmarks. Nothing else is affected. Restricted.
    function setPaused(bool paused_) external;

    // ------------------------------------------------------------------ views

    /// @notice The hot key that acts for an operator, or zero.
    function signerOf(address operator) external view returns (address);
    /// @notice The operator that `signer` acts for, or zero.
    function operatorOf(address signer) external view returns (address);
    /// @notice The address that receives an operator's commission.
    function rewardAddressOf(address operator) external view returns (address);
    /// @notice State of an operator's pool.
    function poolOf(address operator) external view returns (PoolView memory);
    /// @notice Active shares that a delegator has in a pool.
    function sharesOf(address operator, address delegator) external view returns (uint256);
    /// @notice Current value of `shares` of a pool, in tokens.
    function tokensFor(address operator, uint256 shares) external view returns (uint256);
    /// @notice Number of entries that a delegator ever opened in a pool; their indices are below it.
    function entryCount(address operator, address owner) external view returns (uint256);
    /// @notice One entry of a delegator.
    function entryOf(address operator, address owner, uint256 index) external view returns (EntryView memory);
    /// @notice Number of operators.
    function operatorCount() external view returns (uint256);
    /// @notice An operator by the order of registration.
    function operatorAt(uint256 index) external view returns (address);
    /// @notice Nonce that the consent of an operator's next signer names.
    function consentNonceOf(address operator) external view returns (uint256);
    /// @notice A slash that entries share: the cohort, and the part that entries of it or later ones keep, times 2^128.
    function recordOf(address operator, uint256 index) external view returns (uint24 gen, uint128 keep);
    /// @notice Active tokens of a pool that moved in and belong to entries of other pools. They have no vote.
    function movedIn(address operator) external view returns (uint256);
    /// @notice Whether an operator is registered, not jailed, and has a self-bond of at least `minSelfBond`.
    function isEligible(address operator) external view returns (bool);
    /// @notice Active tokens of an eligible operator's pool, else 0.
    function eligibleStake(address operator) external view returns (uint256);
    /// @notice Active tokens that a pool certainly had at `timepoint`, which must be in the past: the stake then or, if it changed
    /// since, the lowest of the first fourteenth of `maxTaskLife` with a change. Zero before the last 15 fourteenths. Rounded up to
    /// 2^40 wei.
    function stakeSince(address operator, uint48 timepoint) external view returns (uint256);
    /// @notice Credit of an account that `payOwed` has not paid yet.
    function owedTo(address account) external view returns (uint256);
    /// @notice Capped slashes of the current period: its start, the amount taken, and the maximum at the pool's present stake.
    function absenceOf(address operator) external view returns (uint40 since, uint256 taken, uint256 cap);
    /// @notice Whether an account is a duty contract that can make earmarks.
    function isDuty(address account) external view returns (bool);
    /// @notice Time from which a duty contract cannot slash; the maximum: not dismissed; 0: never was one.
    function dutyUntil(address account) external view returns (uint40);
    /// @notice Whether delegation and new earmarks are paused.
    function paused() external view returns (bool);
    /// @notice The token that is staked.
    function token() external view returns (address);
    /// @notice Receives the part of a slash that no reporter gets.
    function treasury() external view returns (address);
    /// @notice Current time, ERC-6372.
    function clock() external view returns (uint48);
    /// @notice Mode of the clock, ERC-6372.
    function CLOCK_MODE() external pure returns (string memory);
    /// @notice Minimum self-bond of an eligible operator.
    function minSelfBond() external view returns (uint256);
    /// @notice Seconds between undelegating and withdrawing.
    function unbondingPeriod() external view returns (uint40);
    /// @notice Maximum duration of a task, in seconds.
    function maxTaskLife() external view returns (uint40);
    /// @notice Seconds over which a reward reaches the share price.
    function dripPeriod() external view returns (uint40);
    /// @notice Seconds between announcing and applying a higher commission.
    function commissionNotice() external view returns (uint40);
    /// @notice Maximum commission, 1/10000.
    function maxCommissionBps() external view returns (uint16);
    /// @notice Maximum share of a pool that absences can cost per unbonding period, 1/10000.
    function absenceCapBps() external view returns (uint16);
    /// @notice Seconds that an operator stays in jail.
    function jailPeriod() external view returns (uint40);
    /// @notice Maximum of an operator's earmarks, in multiples of its self-bond.
    function leverage() external view returns (uint8);
}
