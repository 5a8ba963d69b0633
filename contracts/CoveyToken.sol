// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title CVY, the token that is staked, paid and slashed
/// @notice ERC-20 with ERC-2612 permit. Governance may mint (emissions), never above `MAX_SUPPLY`.
contract CoveyToken is ERC20, ERC20Permit, AccessManaged {
    /// @notice The most that can ever exist. Below 2^88, so that every amount fits the packed slots of Staking.
    uint256 public constant MAX_SUPPLY = 300_000_000e18;

    error CoveyTokenAboveMaxSupply(uint256 amount, uint256 left);

    /// @param authority AccessManager that says who may mint
    /// @param receiver gets the first supply
    /// @param supply first supply, wei of CVY
    constructor(address authority, address receiver, uint256 supply)
        ERC20("Covey", "CVY")
        ERC20Permit("Covey")
        AccessManaged(authority)
    {
        _mintCapped(receiver, supply);
    }

    /// @notice Create `amount` for `to`.
    function mint(address to, uint256 amount) external restricted {
        _mintCapped(to, amount);
    }

    /// @notice Destroy `amount` of the caller's own tokens.
    function burn(uint256 amount) external {
        _burn(_msgSender(), amount);
    }

    function _mintCapped(address to, uint256 amount) private {
        // Compared with what is left, because a sum with a huge amount would overflow.
        uint256 left = MAX_SUPPLY - totalSupply();
        if (amount > left) revert CoveyTokenAboveMaxSupply(amount, left);
        _mint(to, amount);
    }
}
