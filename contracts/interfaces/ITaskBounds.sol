// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title TaskBounds: what a task may ask for
/// @notice Bounds that governance sets, within bounds that nobody can set. A task that is posted keeps its terms.
interface ITaskBounds {
    event ConfigSet(ITaskRegistry.RegistryConfig config);

    /// @notice Reverts with the first thing in which `params` is out of bounds.
    function check(ITaskRegistry.TaskParams calldata params) external view;
    function config() external view returns (ITaskRegistry.RegistryConfig memory);
    /// @notice The largest bounty that may be decided on with `stake` behind the committee.
    function bountyLimit(uint256 stake) external view returns (uint256);
    /// @notice The longest a task may take, second committee and appeal included, as Staking had it at deployment.
    function maxTaskLife() external view returns (uint40);

    /// @notice Set the bounds. Restricted.
    function setConfig(ITaskRegistry.RegistryConfig calldata value) external;
}
