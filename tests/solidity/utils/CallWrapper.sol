// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICommittee} from "../../../contracts/interfaces/ICommittee.sol";

/// @notice Sends an operator's reveal in a call with other calldata.
contract CallWrapper {
    function send(address target, bytes32 digest, bytes32 salt, uint256 taskId, address operator) external {
        uint256[] memory words = new uint256[](1);
        for (uint256 i = 0; i < 3; ++i) {
            words[0] |= (2000 + 3000 * i) << (240 - 16 * i);
        }
        ICommittee(target).revealScores(taskId, operator, words, digest, salt);
    }
}
