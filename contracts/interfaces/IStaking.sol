// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Staking: operator pools, delegation, unbonding, earmarks, slashing, checkpoints
/// @notice An operator is a cold owner address with one pool. Anyone delegates CVY to a pool for shares. Undelegating moves
/// value to the unbonding side of the same pool: it can be withdrawn once `unbondingPeriod` has passed, and slashed until it is. Duty contracts
/// (a governed set) earmark an operator's stake for one duty at a time, slash at most the earmark, and add rewards.
/// @dev Amounts are in wei of CVY (18 decimals) and fit 88 bits. Times are unix seconds (ERC-6372 timestamp mode).
interface IStaking {
    // ------------------------------------------------------------------ types

    /// @notice Fixed at deployment.
    struct StakingConfig {
        uint256 minSelfBond; // what an operator must own of its own pool to be eligible
        uint40 unbondingPeriod; // seconds, at least maxTaskLife
        uint40 maxTaskLife; // seconds that the longest task or federated round can take
        uint40 dripPeriod; // seconds over which a reward reaches the share price
        uint40 commissionNotice; // seconds between announcing a higher commission and applying it
        uint16 maxCommissionBps;
        uint16 absenceCapBps; // most of a pool that absences may cost per unbonding period, 1/10000
        uint40 jailPeriod; // seconds
    }

    /// @notice What a pool looks like now, with the drip accrued up to this block.
    struct PoolView {
        address signer; // hot key of the daemon; zero: not registered
        address rewardAddress; // receives commission, and drips when nobody is staked
        uint16 commissionBps; // share of rewards that goes to rewardAddress, 1/10000
        uint16 pendingCommissionBps; // announced commission, valid once `commissionFrom` is reached (0: none pending)
        uint40 commissionFrom;
        uint40 jailedUntil; // 0: not jailed; else jailed until `unjail`, which works from this time on
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
    error StakingPoolRuined(address operator); // slashed to less than 2^-20 of what its shares cost: takes no new stake or duty

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

    /// @notice Open a pool. The caller is the operator from now on.
    /// @param signer hot key that acts for the operator; must not serve another operator
    function registerOperator(address signer, address rewardAddress, uint16 commissionBps) external;

    /// @notice Name another hot key at once; the old one loses all rights in this call.
    function setSigner(address newSigner) external;

    function setRewardAddress(address newRewardAddress) external;

    /// @notice Lower commission at once, or announce a higher one for `commissionNotice` from now.
    function setCommission(uint16 newCommissionBps) external;

    /// @notice Apply an announced commission once its notice is over. Anyone may call.
    function applyCommission(address operator) external;

    // ------------------------------------------------------------------ delegators

    /// @notice Buy shares of a pool. The operator's own delegation is its self-bond.
    /// @return shares bought, at least `minShares`
    function delegate(address operator, uint256 amount, uint256 minShares) external returns (uint256 shares);

    /// @notice `delegate` with an ERC-2612 permit; a permit that somebody else already spent is no error if the allowance is there.
    function delegateWithPermit(
        address operator,
        uint256 amount,
        uint256 minShares,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares);

    /// @notice Move shares to the unbonding side; withdrawable after `unbondingPeriod`, slashable until withdrawn.
    /// @return entryId of the unbonding entry
    function undelegate(address operator, uint256 shares, uint256 minTokens) external returns (uint256 entryId);

    /// @notice Pay out a finished unbonding entry to its owner.
    function withdraw(uint256 entryId) external returns (uint256 amount);

    // ------------------------------------------------------------------ duty contracts

    /// @notice Set aside stake for one duty.
    /// @param asOf the task's creation time; stake must have been there then and must be there now
    function earmark(address operator, uint256 amount, uint48 asOf) external;

    function releaseEarmark(address operator, uint256 amount) external;

    /// @notice Slash a pool, active and unbonding alike, and shrink the earmark by what was taken. The reporter and the treasury are
    /// credited; see `payOwed`.
    /// @param earmarkAmount the earmark behind the fault; `amount` must not exceed it
    /// @param reporter paid at most half of what the slash takes from the operator's own self-bond, and at most 10% of all
    /// @param capped true for absence faults: limited per operator and unbonding period; reaching the cap jails
    /// @return taken tokens really taken
    function slash(address operator, uint256 earmarkAmount, uint256 amount, address reporter, bool capped)
        external
        returns (uint256 taken);

    /// @notice Add a reward to a pool; the caller has approved `amount`. Commission is paid to the reward address at once, the rest
    /// drips. Of a pool without shares the reward address gets all, at once, and what drips out of it later as a credit.
    function addReward(address operator, uint256 amount) external;

    // ------------------------------------------------------------------ upkeep

    /// @notice Bring a pool's drip up to date. Nothing depends on it: views and all other calls count what has dripped. Anyone may call.
    function accrue(address operator) external;

    /// @notice The operator leaves jail after its time, with its self-bond restored.
    function unjail() external;

    /// @notice Pay out what an account was credited: of slashes the treasury and reporters, of drips out of an empty pool its reward
    /// address. Anyone may call.
    function payOwed(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ governance

    /// @notice Admit or dismiss a duty contract.
    function setDuty(address duty, bool allowed) external;

    /// @notice A pause stops delegating and new earmarks, nothing else.
    function setPaused(bool paused_) external;

    // ------------------------------------------------------------------ views

    function signerOf(address operator) external view returns (address);
    /// @notice The operator that `signer` acts for, or zero.
    function operatorOf(address signer) external view returns (address);
    function rewardAddressOf(address operator) external view returns (address);
    function poolOf(address operator) external view returns (PoolView memory);
    function sharesOf(address operator, address delegator) external view returns (uint256);
    /// @notice What `shares` of a pool are worth now, in tokens.
    function tokensFor(address operator, uint256 shares) external view returns (uint256);
    function unbondingEntry(uint256 entryId)
        external
        view
        returns (address operator, address owner, uint256 shares, uint256 tokens, uint40 until);
    /// @notice Registered, not jailed and with at least `minSelfBond` of its own.
    function isEligible(address operator) external view returns (bool);
    /// @notice Stake that counts now: active tokens if eligible, else 0.
    function eligibleStake(address operator) external view returns (uint256);
    /// @notice Active tokens of a pool as checkpointed at or before `timepoint` (strictly in the past).
    function stakeAt(address operator, uint48 timepoint) external view returns (uint256);
    /// @notice What an account was credited and `payOwed` has not yet paid.
    function owedTo(address account) external view returns (uint256);
    /// @notice Absence slashes of the current period: when it began, what they took, and the most they may take.
    function absenceOf(address operator) external view returns (uint40 since, uint256 taken, uint256 cap);
    function isDuty(address account) external view returns (bool);
    function paused() external view returns (bool);
    function token() external view returns (address);
    function treasury() external view returns (address);
    function clock() external view returns (uint48);
    function CLOCK_MODE() external pure returns (string memory);
    function minSelfBond() external view returns (uint256);
    function unbondingPeriod() external view returns (uint40);
    function maxTaskLife() external view returns (uint40);
    function dripPeriod() external view returns (uint40);
    function commissionNotice() external view returns (uint40);
    function maxCommissionBps() external view returns (uint16);
    function absenceCapBps() external view returns (uint16);
    function jailPeriod() external view returns (uint40);
}
