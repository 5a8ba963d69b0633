// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {Test} from "./Test.sol";

/// @notice Random delegations, rewards, slashes and time on two pools, with totals that Staking does not store.
contract StakingHandler is Test {
    uint256 public constant VIRTUAL = 1e12;

    Staking public immutable staking;
    CoveyToken public immutable token;
    address public immutable duty;
    address[2] public operators;
    address[4] public people;
    uint256[] public entries;
    uint256 public slashes;
    uint256 public fallen; // number of times that a price fell without a slash
    uint256 public wrongEarmark;

    constructor(Staking staking_, CoveyToken token_, address duty_, address[2] memory operators_) {
        staking = staking_;
        token = token_;
        duty = duty_;
        operators = operators_;
        people = [operators_[0], operators_[1], makeAddr("first delegator"), makeAddr("second delegator")];
    }

    /// @dev Cross-multiplied, so that rounding hides no fall.
    modifier watched(uint256 which, bool maySlash) {
        IStaking.PoolView memory before = staking.poolOf(operators[which & 1]);
        _;
        IStaking.PoolView memory later = staking.poolOf(operators[which & 1]);
        if (!maySlash) {
            bool active = (later.activeTokens + VIRTUAL) * (before.activeShares + VIRTUAL)
                < (before.activeTokens + VIRTUAL) * (later.activeShares + VIRTUAL);
            bool unbonding = (later.unbondingTokens + VIRTUAL) * (before.unbondingShares + VIRTUAL)
                < (before.unbondingTokens + VIRTUAL) * (later.unbondingShares + VIRTUAL);
            if (active || unbonding) ++fallen;
        }
    }

    function delegate(uint256 which, uint256 who, uint256 amount) external watched(which, false) {
        amount = bound(amount, 1, 1_000_000e18);
        address person = people[who & 3];
        require(token.transfer(person, amount));
        vm.startPrank(person);
        token.approve(address(staking), amount);
        try staking.delegate(operators[which & 1], amount, 0) {} catch {}
        vm.stopPrank();
    }

    function undelegate(uint256 which, uint256 who, uint256 shares) external watched(which, false) {
        address person = people[who & 3];
        uint256 owned = staking.sharesOf(operators[which & 1], person);
        if (owned == 0) return;
        vm.prank(person);
        try staking.undelegate(operators[which & 1], shares % 3 == 0 ? owned : bound(shares, 1, owned), 0) returns (
            uint256 id
        ) {
            entries.push(id);
        } catch {}
    }

    function withdraw(uint256 which, uint256 seed) external watched(which, false) {
        if (entries.length == 0) return;
        uint256 index = seed % entries.length;
        (, address owner,,,) = staking.unbondingEntry(entries[index]);
        vm.prank(owner);
        try staking.withdraw(entries[index]) {
            entries[index] = entries[entries.length - 1];
            entries.pop();
        } catch {}
    }

    function reward(uint256 which, uint256 amount) external watched(which, false) {
        amount = bound(amount, 1, 100_000e18);
        require(token.transfer(duty, amount));
        vm.prank(duty);
        staking.addReward(operators[which & 1], amount);
    }

    function slash(uint256 which, uint256 amount, uint256 reporter, bool capped) external watched(which, true) {
        address operator = operators[which & 1];
        uint256 earmarked = staking.poolOf(operator).earmarked;
        uint256 free = staking.eligibleStake(operator);
        vm.startPrank(duty);
        if (free > earmarked) {
            amount = bound(amount, 1, free - earmarked);
            try staking.earmark(operator, amount, uint48(block.timestamp - 1)) {
                uint256 taken = staking.slash(operator, amount, amount, people[reporter & 3], capped);
                if (taken > amount || staking.poolOf(operator).earmarked != earmarked + amount - taken) ++wrongEarmark;
                // Some earmarks stay, like those of running tasks.
                if (reporter & 4 == 0) staking.releaseEarmark(operator, amount - taken);
                ++slashes;
            } catch {}
        } else {
            staking.releaseEarmark(operator, earmarked);
        }
        vm.stopPrank();
    }

    function unjail(uint256 which) external {
        vm.prank(operators[which & 1]);
        try staking.unjail() {} catch {}
    }

    function payOwed(uint256 who) external {
        try staking.payOwed(people[who & 3]) {} catch {}
    }

    function accrue(uint256 which, uint256 elapsed) external watched(which, false) {
        skip(bound(elapsed, 0, 3 days));
        staking.accrue(operators[which & 1]);
    }

    function entryCount() external view returns (uint256) {
        return entries.length;
    }
}
