// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {CoveyToken} from "../../contracts/CoveyToken.sol";
import {ICoveyToken} from "../../contracts/interfaces/ICoveyToken.sol";
import {Test} from "./utils/Test.sol";

contract CoveyTokenTest is Test {
    uint256 internal constant MAX = 300_000_000e18;
    AccessManager internal manager = new AccessManager(address(this));

    function testFuzz_SupplyStaysBelowTheMaximum(uint256 first, uint256[] calldata mints) public {
        first = bound(first, 0, MAX);
        CoveyToken token = new CoveyToken(address(manager), address(this), first);
        uint256 supply = first;
        uint256 start = vm.getBlockTimestamp();
        for (uint256 i; i < mints.length && i < 10; ++i) {
            vm.warp(vm.getBlockTimestamp() + (mints[i] >> 128) % 400 days);
            uint256 amount = i % 2 == 0 ? mints[i] : bound(mints[i], 0, 10_000_000e18);
            uint256 left = 50_000e18 * ((vm.getBlockTimestamp() - start) / 1 days + 1) - token.minted();
            if (left > MAX - supply) left = MAX - supply;
            assertEq(token.mintable(), left);
            if (amount > left) {
                vm.expectRevert(abi.encodeWithSelector(ICoveyToken.CoveyTokenAboveMaxSupply.selector, amount, left));
                token.mint(address(this), amount);
            } else {
                token.mint(address(this), amount);
                supply += amount;
            }
            assertEq(token.totalSupply(), supply);
        }
        assertLe(supply, type(uint88).max);
        token.burn(supply);
        assertEq(token.totalSupply(), 0);
    }

    /// @dev A minter that turns bad can mint what Emissions could have, and no more; what is burnt does not come back.
    function test_MintedPerDayIsBounded() public {
        CoveyToken token = new CoveyToken(address(manager), address(this), 1e18);
        token.mint(address(this), 50_000e18);
        token.burn(50_000e18);
        vm.expectRevert(abi.encodeWithSelector(ICoveyToken.CoveyTokenAboveMaxSupply.selector, 1, 0));
        token.mint(address(this), 1);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        token.mint(address(this), 50_000e18);
        assertEq(token.minted(), 100_000e18);
    }

    function test_RevertIf_MinterIsNotAuthorised() public {
        CoveyToken token = new CoveyToken(address(manager), address(this), 1);
        address stranger = makeAddr("stranger");
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        token.mint(stranger, 1);
    }
}
