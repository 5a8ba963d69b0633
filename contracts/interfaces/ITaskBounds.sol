// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title TaskBounds: bounds on the parameters of a task
/// @notice Governance sets the bounds, within fixed limits. A posted task keeps its terms.
interface ITaskBounds {
    event ConfigSet(ITaskRegistry.RegistryConfig config);

    /// @notice Reverts with the first parameter that is out of bounds.
    function check(ITaskRegistry.TaskParams calldata params) external view;
    /// @notice The current bounds.
    function config() external view returns (ITaskRegistry.RegistryConfig memory);
    /// @notice Maximum bounty of a task with `stake` behind its committee.
    function bountyLimit(uint256 stake) external view returns (uint256);
    /// @notice Maximum duration of a task, including second committee and appeal; read from Staking at deployment.
    function maxTaskLife() external view returns (uint40);

    /// @notice Set the bounds. Restricted.
    function setConfig(ITaskRegistry.RegistryConfig calldata value) external;
}
