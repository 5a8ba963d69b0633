// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title CVY: the token that is staked, paid and slashed
/// @notice ERC-20 with ERC-2612 permit. Governance grants the right to mint; the supply never exceeds `MAX_SUPPLY`, and what was minted
/// after deployment never exceeds `MINT_PER_DAY` for each day begun since.
interface ICoveyToken is IERC20 {
    error CoveyTokenAboveMaxSupply(uint256 amount, uint256 left);

    /// @notice Mint `amount` to `to`, at most `mintable`. Restricted.
    function mint(address to, uint256 amount) external;

    /// @notice Burn `amount` of the caller's tokens.
    function burn(uint256 amount) external;

    /// @notice Maximum total supply. Below 2^88, so that every amount fits the packed slots of Staking.
    function MAX_SUPPLY() external view returns (uint256);

    /// @notice Maximum that can be minted per day begun since deployment. Unused days add up.
    function MINT_PER_DAY() external view returns (uint256);

    /// @notice Amount minted after deployment.
    function minted() external view returns (uint256);

    /// @notice Amount that can be minted now.
    function mintable() external view returns (uint256);
}
