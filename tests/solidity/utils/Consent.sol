// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {Vm} from "./Vm.sol";

/// @notice Keys of signers, and their consent to act for an operator.
library Consent {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function keyOf(address operator) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("signer", operator)));
    }

    function signerOf(address operator) internal pure returns (address) {
        return vm.addr(keyOf(operator));
    }

    /// @notice The digest that a signer signs, independent of Staking's code.
    function digest(IStaking staking, address operator, uint256 nonce) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Covey Staking"),
                keccak256("1"),
                block.chainid,
                address(staking)
            )
        );
        bytes32 consent = keccak256(abi.encode(keccak256("Consent(address operator,uint256 nonce)"), operator, nonce));
        return keccak256(abi.encodePacked("\x19\x01", domain, consent));
    }

    function of_(IStaking staking, uint256 key, address operator) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest(staking, operator, staking.consentNonceOf(operator)));
        return abi.encodePacked(r, s, v);
    }
}
