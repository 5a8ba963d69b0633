"""Types of settings. Each carries its unit, so that help texts and the reference can print it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from eth_utils.address import to_checksum_address
from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from covey.chain.tx.fees import GWEI
from covey.chain.units import CVY, to_wei


class Role(StrEnum):
    """Work that a node does."""

    TRAINER = "trainer"
    VALIDATOR = "validator"


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of a numeric setting, as annotation metadata.

    `scale`: number of stored units in one displayed unit, for instance 10^18 for CVY stored as wei.
    """

    name: str
    scale: int = 1


def parse_amount(value: object) -> int:
    """Convert an amount of CVY to wei. A bare integer is wei; text may carry a unit ("250 CVY", "1000 wei")."""
    if isinstance(value, int) and not isinstance(value, bool):
        amount = value
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*(?:wei)?\s*", value)):
        amount = int(match[1])
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*CVY\s*", value)):
        try:
            amount = to_wei(match[1])
        except ValueError:
            raise ValueError(f"{value!r} is finer than one wei, or too large") from None
    else:
        raise ValueError(f"{value!r} is not an amount; write '250 CVY', or a whole number for wei")
    if not 0 <= amount < 2**128:
        raise ValueError(f"{value!r} is not an amount between 0 and 2^128 − 1 wei")
    return amount


def parse_gas_price(value: object) -> int:
    """Convert a gas price to wei per gas. A bare integer is wei; text may carry a unit ("300 gwei", "7 wei")."""
    if isinstance(value, int) and not isinstance(value, bool):
        price = value
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*(?:wei)?\s*", value)):
        price = int(match[1])
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d{1,9})?)\s*gwei\s*", value)):
        price = to_wei(match[1]) // (CVY // GWEI)
    else:
        raise ValueError(f"{value!r} is not a gas price; write '300 gwei', or a whole number for wei")
    if not 0 < price < 2**63:
        raise ValueError(f"{value!r} is not a gas price between 1 and 2^63 − 1 wei")
    return price


_DURATION_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "min": 60, "s": 1}


def parse_duration(value: object) -> int:
    """Convert a duration to seconds. A bare integer is seconds; text may carry units ("90s", "2h", "1d 12h")."""
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value, re.ASCII):
        seconds = int(value)
    elif isinstance(value, str) and re.fullmatch(r"\s*(\d+\s*(d|h|min|m|s)\s*)+", value, re.ASCII):
        parts = re.findall(r"(\d+)\s*(d|h|min|m|s)", value)
        if len({unit[0] for _, unit in parts}) != len(parts):
            raise ValueError(f"{value!r} names a unit twice")
        seconds = sum(int(number) * _DURATION_UNITS[unit] for number, unit in parts)
    else:
        raise ValueError(f"{value!r} is not a duration; write '2h', '90s', '1d 12h', or a whole number for seconds")
    if not 0 <= seconds < 2**32:
        raise ValueError(f"{value!r} is not a duration between 0 and 2^32 − 1 seconds")
    return seconds


def _address(value: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise ValueError(f"{value!r} is not an address (0x and 40 hexadecimal digits)")
    return to_checksum_address(value)


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port")
    return value


def _executor(value: str) -> str:
    if value != "subprocess" and not value.startswith("unix:/"):
        raise ValueError(f"{value!r} is neither 'subprocess' nor 'unix:/path/of/a/fork-server-socket'")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", value):
        raise ValueError(f"{value!r} is not a device: give auto, cpu, cuda or cuda:N")
    return value


def _remote_signer(value: str) -> str:
    from covey.chain.signing.remote import split_location

    split_location(value)
    return value


def _pinning_service(value: str) -> str:
    from covey.ipfs.errors import IpfsError
    from covey.ipfs.pinning import PinningService

    try:
        PinningService(value, "").close()
    except IpfsError as error:
        raise ValueError(str(error)) from None
    return value


Amount = Annotated[int, BeforeValidator(parse_amount), Unit("CVY", CVY)]
"""CVY, in wei. Text carries its unit ("250 CVY"); a bare integer is wei."""
GasPrice = Annotated[int, BeforeValidator(parse_gas_price), Unit("gwei", GWEI)]
"""Price of one gas, in wei. Text carries its unit ("300 gwei"); a bare integer is wei."""
Wei = Annotated[int, Unit("wei")]
"""Native coin of the chain, in wei."""
Size = Annotated[ByteSize, Field(ge=16 << 20)]
"""Bytes: a bare integer, or text with its unit ("20GiB", "500 MB"); at least 16 MiB, enough for one small entry."""
Mebibytes = Annotated[int, Unit("MiB")]
Seconds = Annotated[float, Unit("seconds")]
WholeSeconds = Annotated[int, Unit("seconds")]
Duration = Annotated[int, BeforeValidator(parse_duration), Unit("seconds")]
"""Seconds of chain time. Text may carry units ("2h", "1d 12h"); a bare integer is seconds."""
Days = Annotated[float, Unit("days")]
Blocks = Annotated[int, Unit("blocks")]
BasisPoints = Annotated[int, Unit("1/10000")]
Address = Annotated[str, AfterValidator(_address)]
"""An account in checksum form."""
Listen = Annotated[str, AfterValidator(_listen)]
"""A listening address, host:port."""
Device = Annotated[str, AfterValidator(_device)]
Executor = Annotated[str, AfterValidator(_executor)]
RemoteSignerAddress = Annotated[str, AfterValidator(_remote_signer)]
PinningServiceUrl = Annotated[str, AfterValidator(_pinning_service)]
