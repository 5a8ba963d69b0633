// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

/// @title The plain way to stake: pools of shares, unbonding that stays slashable, OpenZeppelin's checkpoints
/// @notice What the benchmarks compare Staking with. Rewards add up per share and each delegator claims its own.
contract PlainStaking {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using Checkpoints for Checkpoints.Trace208;

    struct Pool {
        uint128 active;
        uint128 activeShares;
        uint128 unbonding;
        uint128 unbondingShares;
        uint256 rewardsPerShare; // times 1e18
        address rewardAddress; // zero: not registered
        uint16 commissionBps;
    }

    struct Delegation {
        uint128 shares;
        uint128 unclaimed;
        uint256 paidPerShare;
    }

    struct Entry {
        uint128 shares;
        uint48 until;
    }

    uint256 private constant SCALE = 1e18;
    uint48 private immutable UNBONDING;
    IERC20 public immutable token;
    address private immutable GOVERNOR;
    mapping(address operator => Pool) public pools;
    mapping(address operator => mapping(address delegator => Delegation)) public delegations;
    mapping(address operator => mapping(address delegator => Entry[])) private _entries;
    mapping(address operator => Checkpoints.Trace208) private _stakes;
    mapping(address account => bool) public isDuty;

    error NotAllowed();
    error NotRegistered();
    error ZeroAmount();
    error NotDue();

    event Registered(address indexed operator, address rewardAddress, uint16 commissionBps);
    event Delegated(address indexed operator, address indexed delegator, uint256 amount, uint256 shares);
    event Undelegated(
        address indexed operator, address indexed delegator, uint256 entry, uint256 shares, uint256 amount
    );
    event Withdrawn(address indexed operator, address indexed delegator, uint256 entry, uint256 amount);
    event Claimed(address indexed operator, address indexed delegator, uint256 amount);
    event RewardAdded(address indexed operator, uint256 amount, uint256 commission);
    event Slashed(address indexed operator, uint256 fromActive, uint256 fromUnbonding);

    modifier onlyDuty() {
        if (!isDuty[msg.sender]) revert NotAllowed();
        _;
    }

    constructor(IERC20 token_, uint48 unbonding) {
        token = token_;
        UNBONDING = unbonding;
        GOVERNOR = msg.sender;
    }

    function setDuty(address duty, bool allowed) external {
        if (msg.sender != GOVERNOR) revert NotAllowed();
        isDuty[duty] = allowed;
    }

    function register(address rewardAddress, uint16 commissionBps) external {
        Pool storage pool = pools[msg.sender];
        if (rewardAddress == address(0) || pool.rewardAddress != address(0)) revert NotAllowed();
        pool.rewardAddress = rewardAddress;
        pool.commissionBps = commissionBps;
        emit Registered(msg.sender, rewardAddress, commissionBps);
    }

    function delegate(address operator, uint256 amount) external returns (uint256 shares) {
        Pool storage pool = pools[operator];
        if (pool.rewardAddress == address(0)) revert NotRegistered();
        (uint256 active, uint256 activeShares) = (pool.active, pool.activeShares);
        shares = activeShares == 0 ? amount : amount * activeShares / active;
        if (shares == 0) revert ZeroAmount();
        Delegation storage own = delegations[operator][msg.sender];
        _settle(pool, own);
        own.shares += shares.toUint128();
        pool.active = (active + amount).toUint128();
        pool.activeShares = (activeShares + shares).toUint128();
        _stakes[operator].push(Time.timestamp(), (active + amount).toUint208());
        emit Delegated(operator, msg.sender, amount, shares);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function undelegate(address operator, uint256 shares) external returns (uint256 entry) {
        Pool storage pool = pools[operator];
        Delegation storage own = delegations[operator][msg.sender];
        _settle(pool, own);
        own.shares -= shares.toUint128();
        (uint256 active, uint256 activeShares) = (pool.active, pool.activeShares);
        (uint256 unbonding, uint256 unbondingShares) = (pool.unbonding, pool.unbondingShares);
        uint256 amount = shares * active / activeShares;
        if (amount == 0) revert ZeroAmount();
        uint256 moved = unbondingShares == 0 ? amount : amount * unbondingShares / unbonding;
        pool.active = (active - amount).toUint128();
        pool.activeShares = (activeShares - shares).toUint128();
        pool.unbonding = (unbonding + amount).toUint128();
        pool.unbondingShares = (unbondingShares + moved).toUint128();
        _stakes[operator].push(Time.timestamp(), (active - amount).toUint208());
        entry = _entries[operator][msg.sender].length;
        _entries[operator][msg.sender].push(Entry({shares: moved.toUint128(), until: Time.timestamp() + UNBONDING}));
        emit Undelegated(operator, msg.sender, entry, shares, amount);
    }

    function withdraw(address operator, uint256 index) external returns (uint256 amount) {
        Pool storage pool = pools[operator];
        Entry memory entry = _entries[operator][msg.sender][index];
        if (entry.shares == 0 || Time.timestamp() < entry.until) revert NotDue();
        delete _entries[operator][msg.sender][index];
        (uint256 unbonding, uint256 unbondingShares) = (pool.unbonding, pool.unbondingShares);
        amount = entry.shares * unbonding / unbondingShares;
        pool.unbonding = (unbonding - amount).toUint128();
        pool.unbondingShares = (unbondingShares - entry.shares).toUint128();
        emit Withdrawn(operator, msg.sender, index, amount);
        token.safeTransfer(msg.sender, amount);
    }

    function claim(address operator) external returns (uint256 amount) {
        Delegation storage own = delegations[operator][msg.sender];
        _settle(pools[operator], own);
        amount = own.unclaimed;
        if (amount == 0) revert ZeroAmount();
        own.unclaimed = 0;
        emit Claimed(operator, msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    function addReward(address operator, uint256 amount) external onlyDuty {
        Pool storage pool = pools[operator];
        uint256 commission = amount * pool.commissionBps / 10_000;
        pool.rewardsPerShare += (amount - commission) * SCALE / pool.activeShares;
        emit RewardAdded(operator, amount, commission);
        token.safeTransferFrom(msg.sender, pool.rewardAddress, commission);
        token.safeTransferFrom(msg.sender, address(this), amount - commission);
    }

    function slash(address operator, uint256 amount, address to) external onlyDuty {
        Pool storage pool = pools[operator];
        (uint256 active, uint256 unbonding) = (pool.active, pool.unbonding);
        uint256 fromActive = amount * active / (active + unbonding);
        pool.active = (active - fromActive).toUint128();
        pool.unbonding = (unbonding - (amount - fromActive)).toUint128();
        _stakes[operator].push(Time.timestamp(), (active - fromActive).toUint208());
        emit Slashed(operator, fromActive, amount - fromActive);
        token.safeTransfer(to, amount);
    }

    function stakeAt(address operator, uint48 timepoint) external view returns (uint256) {
        return _stakes[operator].upperLookupRecent(timepoint);
    }

    /// @dev Counts what a delegator has earned since the last time.
    function _settle(Pool storage pool, Delegation storage own) private {
        uint256 perShare = pool.rewardsPerShare;
        uint256 paid = own.paidPerShare;
        if (paid == perShare) return;
        own.unclaimed += (own.shares * (perShare - paid) / SCALE).toUint128();
        own.paidPerShare = perShare;
    }
}
