// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ICoveyToken} from "./interfaces/ICoveyToken.sol";

/// @title CVY: the token that is staked, paid and slashed
contract CoveyToken is ICoveyToken, ERC20, ERC20Permit, AccessManaged {
    /// @inheritdoc ICoveyToken
    uint256 public constant override MAX_SUPPLY = 300_000_000e18;
    /// @inheritdoc ICoveyToken
    uint256 public constant override MINT_PER_DAY = 50_000e18;

    uint256 private immutable DEPLOYED_AT = block.timestamp;

    /// @inheritdoc ICoveyToken
    uint256 public override minted;

    /// @param authority AccessManager that grants the right to mint
    /// @param receiver receives the initial supply
    /// @param supply initial supply, in wei of CVY
    constructor(address authority, address receiver, uint256 supply)
        ERC20("Covey", "CVY")
        ERC20Permit("Covey")
        AccessManaged(authority)
    {
        if (supply > MAX_SUPPLY) revert CoveyTokenAboveMaxSupply(supply, MAX_SUPPLY);
        _mint(receiver, supply);
    }

    /// @inheritdoc ICoveyToken
    function mint(address to, uint256 amount) external restricted {
        uint256 left = mintable();
        // Compared with the remainder, because a sum with a huge amount would overflow.
        if (amount > left) revert CoveyTokenAboveMaxSupply(amount, left);
        minted += amount;
        _mint(to, amount);
    }

    /// @inheritdoc ICoveyToken
    function burn(uint256 amount) external {
        _burn(_msgSender(), amount);
    }

    /// @inheritdoc ICoveyToken
    function mintable() public view returns (uint256) {
        uint256 allowed = MINT_PER_DAY * ((block.timestamp - DEPLOYED_AT) / 1 days + 1) - minted;
        return Math.min(allowed, MAX_SUPPLY - totalSupply());
    }
}
