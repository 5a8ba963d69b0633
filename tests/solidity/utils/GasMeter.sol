// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Sends a call and returns the gas it used.
contract GasMeter {
    function run(address target, bytes calldata data) external returns (uint256 used) {
        bytes memory copy = data;
        require(target.code.length != 0, "no contract"); // warms the target, as a transaction does
        uint256 before = gasleft();
        (bool success,) = target.call(copy);
        used = before - gasleft();
        require(success, "call failed");
    }
}
