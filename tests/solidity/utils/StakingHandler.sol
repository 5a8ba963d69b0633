// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {Consent} from "./Consent.sol";
import {Test} from "./Test.sol";

/// @notice Random lives of three pools: every entry point of Staking, earmarks that stay, and time, with totals that Staking does not
/// store.
contract StakingHandler is Test {
    struct Held {
        address operator;
        uint256 amount;
        uint24 gen;
        uint48 net;
    }

    struct Left {
        address operator;
        address owner;
        uint256 index;
    }

    uint256 public constant VIRTUAL = 1e12;

    Staking public immutable staking;
    CoveyToken public immutable token;
    address public immutable duty;
    address[3] public operators; // the last one registers during the run
    address[5] public people;
    Left[] private _left;
    Held[] private _held;
    uint256 public fallen; // number of times that a price fell without a slash
    uint256 public wrong; // number of violations that a call saw itself
    uint256 public reachedWithdrawals;
    uint256 public reachedRecords;
    uint256 public reachedMoves;

    constructor(Staking staking_, CoveyToken token_, address duty_, address[2] memory operators_) {
        staking = staking_;
        token = token_;
        duty = duty_;
        operators = [operators_[0], operators_[1], makeAddr("third operator")];
        people = [operators_[0], operators_[1], operators[2], makeAddr("first delegator"), makeAddr("second delegator")];
    }

    /// @dev Cross-multiplied, so that rounding hides no fall. `all` pools are watched.
    modifier watched() {
        uint256[3] memory tokens;
        uint256[3] memory shares;
        for (uint256 i; i < 3; ++i) {
            IStaking.PoolView memory pool = staking.poolOf(operators[i]);
            (tokens[i], shares[i]) = (pool.activeTokens, pool.activeShares);
        }
        _;
        for (uint256 i; i < 3; ++i) {
            IStaking.PoolView memory pool = staking.poolOf(operators[i]);
            if (
                (pool.activeTokens + VIRTUAL) * (shares[i] + VIRTUAL)
                    < (tokens[i] + VIRTUAL) * (pool.activeShares + VIRTUAL)
            ) {
                ++fallen;
            }
        }
    }

    // ------------------------------------------------------------------ operators

    function registerOperator(uint256 who, uint16 commission) external watched {
        address person = people[who % 5];
        bytes memory consent = Consent.of_(staking, Consent.keyOf(person), person);
        vm.prank(person);
        try staking.registerOperator(Consent.signerOf(person), person, commission % 5000, consent) {} catch {}
    }

    function setSigner(uint256 which, uint256 key, bool honest) external watched {
        address operator = operators[which % 3];
        key = bound(key, 1, 1 << 128);
        bytes memory consent = Consent.of_(staking, honest ? key : key + 1, operator);
        address signer = vm.addr(key);
        vm.prank(operator);
        try staking.setSigner(signer, consent) {
            if (!honest || staking.operatorOf(signer) != operator || staking.signerOf(operator) != signer) ++wrong;
        } catch {}
    }

    function setRewardAddress(uint256 which, uint256 who) external watched {
        vm.prank(operators[which % 3]);
        try staking.setRewardAddress(people[who % 5]) {} catch {}
    }

    function setCommission(uint256 which, uint16 commission) external watched {
        vm.prank(operators[which % 3]);
        try staking.setCommission(commission % 6000) {} catch {}
        try staking.applyCommission(operators[which % 3]) {} catch {}
    }

    function unjail(uint256 which) external watched {
        vm.prank(operators[which % 3]);
        try staking.unjail() {} catch {}
    }

    // ------------------------------------------------------------------ delegators

    function delegate(uint256 which, uint256 who, uint256 amount) external watched {
        amount = bound(amount, 1, 100_000e18);
        address person = people[who % 5];
        require(token.transfer(person, amount));
        bool bonded = staking.poolOf(operators[which % 3]).bonded;
        vm.startPrank(person);
        token.approve(address(staking), amount);
        try staking.delegate(operators[which % 3], amount, 0) {
            if (!bonded && person != operators[which % 3]) ++wrong;
        } catch {}
        vm.stopPrank();
    }

    function delegateWithPermit(uint256 which, uint256 who, uint256 amount, bool good) external watched {
        amount = bound(amount, 1, 100_000e18);
        (address person, uint256 key) = makeAddrAndKey(who & 1 == 0 ? "first delegator" : "second delegator");
        require(token.transfer(person, amount));
        vm.prank(person);
        token.approve(address(staking), 0);
        address operator = operators[which % 3];
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(good ? key : key + 1, permitDigest(person, amount));
        vm.prank(person);
        try staking.delegateWithPermit(operator, amount, 0, vm.getBlockTimestamp(), v, r, s) {
            if (!good) ++wrong;
        } catch {}
    }

    function permitDigest(address person, uint256 amount) private view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                person,
                address(staking),
                amount,
                token.nonces(person),
                vm.getBlockTimestamp()
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash));
    }

    function undelegate(uint256 which, uint256 who, uint256 shares) external watched {
        address person = people[who % 5];
        address operator = operators[which % 3];
        uint256 owned = staking.sharesOf(operator, person);
        if (owned == 0) return;
        uint256 earmarked = staking.poolOf(operator).earmarked;
        vm.prank(person);
        try staking.undelegate(operator, shares % 3 == 0 ? owned : bound(shares, 1, owned), 0) returns (uint256 index) {
            if (person == operator && earmarked != 0) ++wrong;
            _left.push(Left(operator, person, index));
        } catch {}
    }

    function redelegate(uint256 which, uint256 to, uint256 who, uint256 shares) external watched {
        address person = people[who % 5];
        address operator = operators[which % 3];
        uint256 owned = staking.sharesOf(operator, person);
        if (owned == 0) return;
        IStaking.PoolView memory before = staking.poolOf(operator);
        vm.prank(person);
        try staking.redelegate(operator, operators[to % 3], bound(shares, 1, owned), 0) returns (uint256 index) {
            if (person == operator && before.earmarked != 0) ++wrong;
            if (staking.poolOf(operator).activeTokens < before.earmarked) ++wrong;
            _left.push(Left(operator, person, index));
            ++reachedMoves;
        } catch {}
    }

    function cancel(uint256 seed) external watched {
        if (_left.length == 0) return;
        Left memory left = _left[seed % _left.length];
        vm.prank(left.owner);
        try staking.cancel(left.operator, left.index) returns (uint256 shares) {
            if (shares != 0) _forget(seed % _left.length);
        } catch {}
    }

    /// @dev Sent by anyone, to the owner.
    function withdraw(uint256 seed, uint256 who) external watched {
        if (_left.length == 0) return;
        Left memory left = _left[seed % _left.length];
        uint256 had = token.balanceOf(left.owner);
        bool moved = staking.entryOf(left.operator, left.owner, left.index).movedTo != address(0);
        vm.prank(people[who % 5]);
        try staking.withdraw(left.operator, left.owner, left.index) returns (uint256 amount) {
            if (!moved && token.balanceOf(left.owner) != had + amount) ++wrong;
            if (staking.entryOf(left.operator, left.owner, left.index).tokens == 0) _forget(seed % _left.length);
            ++reachedWithdrawals;
        } catch {}
    }

    // ------------------------------------------------------------------ duties and upkeep

    function reward(uint256 which, uint256 amount, uint256 backing) external watched {
        amount = bound(amount, 1, 10_000e18);
        require(token.transfer(duty, amount));
        vm.prank(duty);
        try staking.addReward(operators[which % 3], amount, backing % 200_000e18) {} catch {}
    }

    function earmark(uint256 which, uint256 amount) external watched {
        address operator = operators[which % 3];
        IStaking.PoolView memory pool = staking.poolOf(operator);
        uint256 most = staking.eligibleStake(operator);
        if (most <= pool.earmarked || _held.length > 20) return;
        amount = bound(amount, 1, most - pool.earmarked);
        vm.prank(duty);
        try staking.earmark(operator, amount, uint48(vm.getBlockTimestamp() - 1)) returns (uint24 gen, uint48 net) {
            _held.push(Held(operator, amount, gen, net));
            if (pool.earmarked + amount > 255 * pool.selfBond) ++wrong;
        } catch {}
    }

    /// @dev Slash a part of an earmark that may be old; who left before it loses nothing.
    function slash(uint256 seed, uint256 amount, uint256 reporter, uint256 kind) external {
        if (_held.length == 0) return;
        Held storage held = _held[seed % _held.length];
        amount = bound(amount, 0, kind & 8 == 0 ? held.amount / 20 : held.amount);
        uint256 records = staking.poolOf(held.operator).records;
        vm.prank(duty);
        uint256 taken = staking.slash(
            IStaking.SlashOrder({
                operator: held.operator,
                earmarked: held.amount,
                amount: amount,
                gen: held.gen,
                net: held.net,
                reporter: people[reporter % 5],
                capped: kind & 1 == 0,
                ownFirst: kind & 2 == 0,
                jails: kind & 4 == 0
            })
        );
        if (taken > amount) ++wrong;
        if (staking.poolOf(held.operator).records != records) ++reachedRecords;
        held.amount -= taken;
    }

    function release(uint256 seed) external watched {
        if (_held.length == 0) return;
        uint256 place = seed % _held.length;
        Held memory held = _held[place];
        vm.prank(duty);
        staking.releaseEarmark(held.operator, held.amount);
        _held[place] = _held[_held.length - 1];
        _held.pop();
    }

    function payOwed(uint256 who) external watched {
        try staking.payOwed(people[who % 5]) {} catch {}
    }

    function accrue(uint256 which, uint256 elapsed) external watched {
        skip(bound(elapsed, 0, 4 days));
        try staking.accrue(operators[which % 3]) {} catch {}
    }

    // ------------------------------------------------------------------ state

    function leftCount() external view returns (uint256) {
        return _left.length;
    }

    function leftAt(uint256 place) external view returns (address operator, address owner, uint256 index) {
        Left memory left = _left[place];
        return (left.operator, left.owner, left.index);
    }

    function heldOf(address operator) external view returns (uint256 sum) {
        for (uint256 i; i < _held.length; ++i) {
            if (_held[i].operator == operator) sum += _held[i].amount;
        }
    }

    function _forget(uint256 place) private {
        _left[place] = _left[_left.length - 1];
        _left.pop();
    }
}
