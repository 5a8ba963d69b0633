// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {ReentrantCaller} from "./ReentrantCaller.sol";

/// @notice CVY with a callback after each transfer, like ERC-777.
contract CallbackToken is CoveyToken {
    address private _hook;

    constructor() CoveyToken(address(1), address(1), 0) {}

    function arm(address hook) external {
        _hook = hook;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (_hook != address(0)) ReentrantCaller(_hook).onTransfer();
    }
}
