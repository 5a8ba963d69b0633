// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

// Deployed as it is to govern the protocol's parameters: imported here so that its artifact ships with the others.
// solhint-disable-next-line no-unused-import
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
