// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../../contracts/interfaces/ICommittee.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyFixture} from "./CoveyFixture.sol";
import {PlainScores} from "./PlainScores.sol";

/// @notice Steps of both committees, appeals, and a final account of every token.
abstract contract CoveyScenario is CoveyFixture {
    using PlainScores for uint256[];

    address internal appellant = makeAddr("appellant");
    address internal reporter = makeAddr("reporter");
    address[] internal trainers;
    address[] internal validators;
    address[] internal jurors; // enrol for appeals only

    function joinAll(uint256 trainerCount, uint256 validatorCount) internal {
        trainers = joinMany("trainer", trainerCount);
        validators = joinMany("validator", validatorCount);
        require(token.transfer(appellant, 10_000e18));
        vm.prank(appellant);
        token.approve(address(appeals), type(uint256).max);
    }

    /// @notice Operators that stay out of tasks, so that appeals can draw them.
    function joinJury(uint256 count) internal {
        jurors = joinMany("juror", count);
    }

    function enrolJury(uint256 taskId) internal {
        for (uint256 j = 0; j < jurors.length; ++j) {
            vm.prank(signerOf(jurors[j]));
            committee.enrol(taskId, jurors[j], STAKE);
        }
    }

    /// @notice Enough for a seat of a committee drawn from `stake`: W · stake / (K · S), from the enrolments alone.
    function unitOf(uint256 taskId, uint256 stake) internal view returns (uint256) {
        uint256 enrolled = 0;
        for (uint256 i = 0; i < operators.length; ++i) {
            enrolled += registry.earmarkOf(taskId, operators[i]);
        }
        uint256 bounty = uint256(rewards.escrowOf(taskId).bounty) + rewards.escrowOf(taskId).extra;
        return bounty * stake / (registry.paramsOf(taskId).targetSeats * enrolled);
    }

    function openSet(uint256 taskId) internal {
        vm.prank(creator);
        registry.openSealed(taskId, keccak256("set"), keccak256("salt"));
    }

    /// @notice Run a task until its first seed, with all validators enrolled with STAKE.
    function seeded(ITaskRegistry.TaskParams memory params) internal returns (uint256 taskId) {
        taskId = post(params);
        fill(taskId, trainers, validators);
        if (params.evaluation == ITaskRegistry.Evaluation.Sealed) openSet(taskId);
        drawSeed(taskId, keccak256("seed"));
    }

    // ------------------------------------------------------------------ any committee

    function seed(ICommittee c, uint256 taskId, bytes32 prevrandao) internal {
        if (address(c) == address(scoring)) waitForReports(taskId);
        c.requestSeed(taskId);
        c.fixSeed(taskId, mine(c.roundOf(taskId).target, prevrandao));
    }

    function commit(ICommittee c, uint256 taskId, address operator, uint256[] memory row) internal {
        bytes32 hash = keccak256(
            abi.encode(
                block.chainid,
                address(c),
                taskId,
                uint256(c.roundOf(taskId).number),
                operator,
                keccak256(abi.encodePacked(row.pack())),
                keccak256("evidence"),
                saltOf(operator)
            )
        );
        vm.prank(signerOf(operator));
        c.commitScores(taskId, operator, hash);
    }

    function reveal(ICommittee c, uint256 taskId, address operator, uint256[] memory row) internal {
        c.revealScores(taskId, operator, row.pack(), keccak256("evidence"), saltOf(operator));
    }

    function abstain(ICommittee c, uint256 taskId, address operator) internal {
        vm.prank(signerOf(operator));
        c.abstain(taskId, operator);
    }

    function scoreAll(ICommittee c, uint256 taskId, address[] memory who, uint256[][] memory rows) internal {
        for (uint256 j = 0; j < who.length; ++j) {
            commit(c, taskId, who[j], rows[j]);
        }
        vm.warp(c.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j < who.length; ++j) {
            reveal(c, taskId, who[j], rows[j]);
        }
    }

    /// @notice The operators of `all` with a seat in the current round.
    function seatedOf(ICommittee c, uint256 taskId, address[] memory all) internal view returns (address[] memory who) {
        who = new address[](all.length);
        uint256 count = 0;
        for (uint256 j = 0; j < all.length; ++j) {
            if (c.seatsOf(taskId, all[j]) != 0) who[count++] = all[j];
        }
        assembly ("memory-safe") {
            mstore(who, count)
        }
    }

    /// @notice Rows near the same scores.
    function around(uint256[] memory truth, uint256 count) internal pure returns (uint256[][] memory rows) {
        rows = new uint256[][](count);
        for (uint256 j = 0; j < count; ++j) {
            rows[j] = new uint256[](truth.length);
            for (uint256 i = 0; i < truth.length; ++i) {
                rows[j][i] = truth[i] == 0 ? 0 : truth[i] + j;
            }
        }
    }

    /// @notice Scores 2000, 5000, 8000 … of `entries` entries.
    function ladder(uint256 entries) internal pure returns (uint256[] memory truth) {
        truth = new uint256[](entries);
        for (uint256 i = 0; i < entries; ++i) {
            truth[i] = 2000 + 3000 * (i % 10);
        }
    }

    // ------------------------------------------------------------------ appeals

    /// @dev Settle a single page.
    function contest(uint256 taskId, uint256 word, uint256[] memory middle) internal returns (uint256 index) {
        uint256[] memory words = middle.pack();
        bytes32[6] memory proof = words.proof(word);
        vm.prank(appellant);
        return appeals.contest(taskId, word, words[word], proof);
    }

    /// @notice Settle the only page of contested words; who[j] revealed rows[j] as j-th.
    function settleContests(uint256 taskId, address[] memory who, uint256[][] memory rows)
        internal
        returns (uint256[] memory found)
    {
        uint256[] memory seats = new uint256[](rows.length);
        uint256[] memory heads = new uint256[](rows.length);
        uint256 width = (rows[0].length + 15) / 16;
        uint256[] memory words = new uint256[](width * rows.length);
        for (uint256 j = 0; j < rows.length; ++j) {
            seats[j] = committee.rowOf(taskId, who[j]).seats;
            heads[j] = uint256(uint160(who[j])) | (seats[j] << 160);
            uint256[] memory packed = rows[j].pack();
            for (uint256 k = 0; k < width; ++k) {
                words[j * width + k] = packed[k];
            }
        }
        found = PlainScores.medians(rows, seats);
        committee.settleContests(taskId, 0, heads, found.pack(), words);
    }

    function middleOf(uint256 taskId, address[] memory who, uint256[][] memory rows)
        internal
        view
        returns (uint256[] memory)
    {
        uint256[] memory seats = new uint256[](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            seats[j] = scoring.rowOf(taskId, who[j]).seats;
        }
        return PlainScores.medians(rows, seats);
    }

    // ------------------------------------------------------------------ the account at the end

    /// @notice Report every fault of an operator, in every round of both committees.
    function reportAll(uint256 taskId, address operator) internal {
        reportIn(scoring, taskId, operator);
        reportIn(committee, taskId, operator);
        for (uint8 number = 0; number < 2; ++number) {
            if (faults.silentSeatsOf(taskId, number, operator) == 0) continue;
            vm.prank(reporter);
            faults.reportMissed(taskId, number, operator);
        }
        if (faults.silentJurorSeatsOf(taskId, operator) == 0) return;
        vm.prank(reporter);
        faults.reportSilentJuror(taskId, operator);
    }

    function reportIn(ICommittee c, uint256 taskId, address operator) internal {
        uint8 current = c.roundOf(taskId).number;
        for (uint8 number = 0; number <= current; ++number) {
            if (c.roundAt(taskId, number).scoreCommitEnd == 0) continue;
            ICommittee.RowStatus status = c.rowAt(taskId, number, operator).status;
            if (status == ICommittee.RowStatus.Committed) {
                vm.prank(reporter);
                c.reportUnrevealed(taskId, number, operator);
            } else if (status == ICommittee.RowStatus.None && c.seatsAt(taskId, number, operator) != 0) {
                vm.prank(reporter);
                c.reportAbsent(taskId, number, operator);
            }
        }
        assertFalse(c.owesFault(taskId, operator));
    }

    function claimEntries(uint256 taskId, uint256[] memory middle) internal returns (uint256 sum) {
        uint256[] memory words = middle.pack();
        for (uint256 lane = 0; lane < middle.length; ++lane) {
            if (rewards.entryReward(taskId, uint16(middle[lane])) == 0) continue;
            if (rewards.entryClaimed(taskId, uint32(lane))) continue;
            sum += rewards.claimEntry(taskId, uint32(lane), words[lane / 16], words.proof(lane / 16));
        }
    }

    function payAll(address account) internal {
        if (rewards.owedTo(account) != 0) rewards.withdraw(account);
        if (appeals.owedTo(account) != 0) appeals.withdraw(account);
        if (staking.owedTo(account) != 0) staking.payOwed(account);
    }

    /// @notice Claim everything of an ended task. Afterwards Rewards and Appeals hold at most `dust`, no stake is earmarked, all
    /// delegators leave, and Staking holds only the gains of its virtual shares.
    function drain(uint256 taskId, uint256[] memory middle, uint256 dust) internal {
        bool paid = registry.outcomeOf(taskId) == ITaskRegistry.Outcome.Paid;
        assertNotEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Running));
        if (paid) claimEntries(taskId, middle);
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        for (uint256 i = 0; i < operators.length; ++i) {
            address operator = operators[i];
            (bytes32 commitment,,,,) = registry.commitmentOf(taskId, operator);
            if (!paid && commitment != 0) rewards.claimFee(taskId, operator);
            if (paid && rewards.scoringReward(taskId, operator) != 0) rewards.claimScoring(taskId, operator);
            if (appeal.pool != 0 && committee.paidSeatsOf(taskId, operator) != 0) {
                appeals.claimAppeal(taskId, operator);
            }
            reportAll(taskId, operator);
        }
        if (vm.getBlockTimestamp() < appeal.reportEnd) vm.warp(appeal.reportEnd);
        for (uint256 i = 0; i < operators.length; ++i) {
            address operator = operators[i];
            if (registry.heldOf(taskId, operator) != 0) registry.releaseEarmark(taskId, operator);
            if (committee.earmarkOf(taskId, operator) != 0) {
                (bool released,) = address(committee).call(abi.encodeCall(committee.release, (taskId, operator)));
                released; // it can be released already; the earmark is checked below
            }
            assertEq(staking.poolOf(operator).earmarked, 0, "stake left earmarked");
        }
        vm.warp(vm.getBlockTimestamp() + staking.dripPeriod());
        leaveAll();
        assertLe(token.balanceOf(address(rewards)), dust, "left in Rewards");
        assertLe(token.balanceOf(address(appeals)), dust, "left in Appeals");
        assertLe(token.balanceOf(address(staking)), operators.length * 1e13, "left in Staking");
        assertEq(token.totalSupply(), SUPPLY);
    }

    function leaveAll() internal {
        uint256[] memory ids = new uint256[](operators.length);
        for (uint256 i = 0; i < operators.length; ++i) {
            uint256 shares = staking.sharesOf(operators[i], operators[i]);
            if (shares == 0) continue;
            vm.prank(operators[i]);
            staking.undelegate(operators[i], shares, 0);
            ids[i] = staking.entryCount(operators[i], operators[i]);
        }
        vm.warp(vm.getBlockTimestamp() + staking.unbondingPeriod());
        for (uint256 i = 0; i < operators.length; ++i) {
            if (ids[i] != 0) staking.withdraw(operators[i], operators[i], ids[i] - 1);
            staking.accrue(operators[i]);
        }
        for (uint256 i = 0; i < operators.length; ++i) {
            payAll(operators[i]);
            payAll(signerOf(operators[i]));
        }
        payAll(creator);
        payAll(treasury);
        payAll(keeper);
        payAll(appellant);
        payAll(reporter);
        payAll(address(this));
    }

    function poolValue(address operator) internal view returns (uint256) {
        IStaking.PoolView memory pool = staking.poolOf(operator);
        return pool.activeTokens + pool.unbondingTokens;
    }
}
