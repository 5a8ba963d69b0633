// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Governs the protocol's parameters. Imported here so that its artifact ships with the others.
// solhint-disable-next-line no-unused-import
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
