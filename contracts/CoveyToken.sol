// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

import {ICoveyToken} from "./interfaces/ICoveyToken.sol";

/// @title CVY: the token that is staked, paid and slashed
contract CoveyToken is ICoveyToken, ERC20, ERC20Permit, AccessManaged {
    /// @inheritdoc ICoveyToken
    uint256 public constant override MAX_SUPPLY = 300_000_000e18;

    /// @param authority AccessManager that grants the right to mint
    /// @param receiver receives the initial supply
    /// @param supply initial supply, in wei of CVY
    constructor(address authority, address receiver, uint256 supply)
        ERC20("Covey", "CVY")
        ERC20Permit("Covey")
        AccessManaged(authority)
    {
        _mintCapped(receiver, supply);
    }

    /// @inheritdoc ICoveyToken
    function mint(address to, uint256 amount) external restricted {
        _mintCapped(to, amount);
    }

    /// @inheritdoc ICoveyToken
    function burn(uint256 amount) external {
        _burn(_msgSender(), amount);
    }

    function _mintCapped(address to, uint256 amount) private {
        // Compared with the remainder, because a sum with a huge amount would overflow.
        uint256 left = MAX_SUPPLY - totalSupply();
        if (amount > left) revert CoveyTokenAboveMaxSupply(amount, left);
        _mint(to, amount);
    }
}
