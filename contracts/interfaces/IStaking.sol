// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Staking: operator pools, delegation, unbonding, earmarks, slashing, checkpoints
/// @notice An operator is an owner address with one pool. Anyone can delegate CVY to a pool and receives shares. Undelegating
/// moves value to the unbonding side of the same pool. It can be withdrawn after `unbondingPeriod`, and slashed until then. Duty
/// contracts (a governed set) earmark an operator's stake for one duty at a time, slash at most the earmark, and add rewards.
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
    }

    /// @notice State of a pool, with the drip accrued up to this block.
    struct PoolView {
        address signer; // hot key of the node; zero: not registered
        address rewardAddress; // receives commission, and drips while the pool has no shares
        uint16 commissionBps; // share of rewards that goes to rewardAddress, 1/10000
        uint16 pendingCommissionBps; // announced commission, valid once `commissionFrom` is reached (0: none pending)
        uint40 commissionFrom;
        uint40 jailedUntil; // 0: not jailed; else jailed until `unjail` is called, at this time or later
        uint256 activeTokens;
        uint256 activeShares;
        uint256 unbondingTokens;
        uint256 unbondingShares;
        uint256 earmarked;
        uint256 undripped; // rewards not yet in activeTokens
        uint40 dripEnd;
        uint256 selfBond; // active tokens that the operator itself owns in its pool
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
    error StakingUnknownEntry(uint256 entryId);
    error StakingNotEntryOwner(address caller, address owner);
    error StakingNotDuty(address caller);
    error StakingNotEligible(address operator);
    error StakingStakeTooLow(address operator, uint256 free, uint256 wanted);
    error StakingEarmarkTooLow(address operator, uint256 earmarked, uint256 wanted);
    error StakingNotJailed(address operator);
    error StakingJailed(address operator, uint40 until);
    error StakingPaused();
    error StakingNotOperator(address caller);
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
        uint256 indexed entryId,
        uint256 shares,
        uint256 amount,
        uint256 unbondingShares,
        uint40 until
    );
    event Withdrawn(address indexed operator, address indexed delegator, uint256 indexed entryId, uint256 amount);
    event Earmarked(address indexed operator, address indexed duty, uint256 amount, uint256 total);
    event EarmarkReleased(address indexed operator, address indexed duty, uint256 amount, uint256 total);
    event Slashed(
        address indexed operator,
        address indexed duty,
        uint256 fromActive,
        uint256 fromUnbonding,
        address reporter,
        uint256 reporterReward,
        uint256 toTreasury,
        bool capped
    );
    event Jailed(address indexed operator, uint40 until);
    event Unjailed(address indexed operator);
    event RewardAdded(address indexed operator, uint256 amount, uint256 commission, uint256 dripping, uint40 dripEnd);
    event Dripped(address indexed operator, uint256 toActive, uint256 toRewardAddress);
    event OwedPaid(address indexed account, uint256 amount);
    event DutySet(address indexed duty, bool allowed);
    event PausedSet(bool paused);

    // ------------------------------------------------------------------ operators (caller is the operator's owner address)

    /// @notice Open a pool. The caller becomes its operator.
    /// @param signer hot key that acts for the operator; must not act for another operator
    /// @param rewardAddress receives commission
    /// @param commissionBps share of rewards that is paid to `rewardAddress`, 1/10000
    function registerOperator(address signer, address rewardAddress, uint16 commissionBps) external;

    /// @notice Replace the signer. The previous signer loses its rights in this call.
    function setSigner(address newSigner) external;

    /// @notice Replace the address that receives commission.
    function setRewardAddress(address newRewardAddress) external;

    /// @notice Lower the commission at once, or announce a higher one that can be applied after `commissionNotice`.
    function setCommission(uint16 newCommissionBps) external;

    /// @notice Apply an announced commission after its notice period. Anyone can call.
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

    /// @notice Move shares to the unbonding side. They can be withdrawn after `unbondingPeriod`, and are slashable until withdrawn.
    /// @param minTokens reverts if the shares are worth less
    /// @return entryId of the unbonding entry
    function undelegate(address operator, uint256 shares, uint256 minTokens) external returns (uint256 entryId);

    /// @notice Pay out a finished unbonding entry to its owner.
    function withdraw(uint256 entryId) external returns (uint256 amount);

    // ------------------------------------------------------------------ duty contracts

    /// @notice Earmark stake for one duty.
    /// @param asOf creation time of the task; the operator must have had the stake then and must have it now
    function earmark(address operator, uint256 amount, uint48 asOf) external;

    /// @notice Release a part of the caller's earmark.
    function releaseEarmark(address operator, uint256 amount) external;

    /// @notice Slash the active and the unbonding side of a pool in proportion, and reduce the earmark by the amount taken. The
    /// reporter and the treasury are credited; see `payOwed`.
    /// @param earmarkAmount the earmark behind the fault; `amount` must not exceed it
    /// @param reporter receives at most half of the loss of the operator's self-bond, and at most 10% of the slash
    /// @param capped true for absence faults, which are limited per operator and unbonding period; reaching the cap jails
    /// @return taken tokens that were taken
    function slash(address operator, uint256 earmarkAmount, uint256 amount, address reporter, bool capped)
        external
        returns (uint256 taken);

    /// @notice Add a reward to a pool. The caller has approved `amount`. Commission is paid to the reward address at once; the rest
    /// drips into the pool. If the pool has no shares, the reward address receives the whole reward at once, and later drips as a
    /// credit.
    function addReward(address operator, uint256 amount) external;

    // ------------------------------------------------------------------ upkeep

    /// @notice Store a pool's drip up to now. Optional: views and all other calls include the drip. Anyone can call.
    function accrue(address operator) external;

    /// @notice Leave jail, once the jail period is over and the self-bond is restored. The caller is the operator.
    function unjail() external;

    /// @notice Pay out an account's credit. Slashes credit the treasury and reporters; drips of an empty pool credit its reward
    /// address. Anyone can call.
    function payOwed(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ governance

    /// @notice Add or remove a duty contract. Restricted.
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
    /// @notice An unbonding entry, and the tokens that its shares are worth now.
    function unbondingEntry(uint256 entryId)
        external
        view
        returns (address operator, address owner, uint256 shares, uint256 tokens, uint40 until);
    /// @notice Whether an operator is registered, not jailed, and has a self-bond of at least `minSelfBond`.
    function isEligible(address operator) external view returns (bool);
    /// @notice Active tokens of an eligible operator's pool, else 0.
    function eligibleStake(address operator) external view returns (uint256);
    /// @notice Active tokens of a pool at the last checkpoint at or before `timepoint`, which must be in the past.
    function stakeAt(address operator, uint48 timepoint) external view returns (uint256);
    /// @notice Credit of an account that `payOwed` has not paid yet.
    function owedTo(address account) external view returns (uint256);
    /// @notice Absence slashes of the current period: its start, the amount taken, and the maximum that can be taken.
    function absenceOf(address operator) external view returns (uint40 since, uint256 taken, uint256 cap);
    /// @notice Whether an account is a duty contract.
    function isDuty(address account) external view returns (bool);
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
}
