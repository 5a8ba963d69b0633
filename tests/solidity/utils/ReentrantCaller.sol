// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Repeats registered calls from within a transfer of the token.
contract ReentrantCaller {
    struct Call {
        address target;
        bytes data;
    }

    Call[] private _calls;
    bool private _busy;
    uint256 public attempts;
    uint256 public successes;

    function add(address target, bytes calldata data) external {
        _calls.push(Call(target, data));
    }

    function onTransfer() external {
        if (_busy) return;
        _busy = true;
        for (uint256 i = 0; i < _calls.length; ++i) {
            ++attempts;
            (bool ok,) = _calls[i].target.call(_calls[i].data);
            if (ok) ++successes;
        }
        _busy = false;
    }
}
