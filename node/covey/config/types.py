"""Types of settings. Each carries its unit, so that help texts and the reference can print it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from covey.chain.tx.fees import GWEI
from covey.chain.units import CVY, parse_address, to_wei


class Role(StrEnum):
    """Work that a node does."""

    TRAINER = "trainer"
    VALIDATOR = "validator"


def _parse_roles(value: object) -> object:
    """Accept what people write for a list of roles: any letter case, commas, and ``both``."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return value
    names = [name.strip().lower() for part in parts for name in str(part).split(",") if name.strip()]
    return list(dict.fromkeys(role for name in names for role in (tuple(Role) if name == "both" else (name,))))


Roles = Annotated[tuple[Role, ...], BeforeValidator(_parse_roles)]
"""Roles of a node."""

RPC_PREFIXES = ("/ip4/", "/ip6/", "/dns/", "/dns4/", "/dns6/", "/dnsaddr/", "/tcp/")
"""Beginnings of a multiaddr, which is no path."""


@dataclass(frozen=True, slots=True)
class MayBePath:
    """Marks text that may name a path, as annotation metadata. A relative path in a settings file starts there.

    `prefixes` come before a path. Without one, `always` text without a scheme is a path; else only if it begins like
    one: with ``/``, ``./``, ``../`` or ``~``.
    """

    prefixes: tuple[str, ...] = ()
    always: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of a numeric setting, as annotation metadata.

    `scale`: number of stored units in one displayed unit, for instance 10^18 for CVY stored as wei.
    """

    name: str
    scale: int = 1


_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*")


def parse_amount(value: object) -> int:
    """Convert an amount of CVY to wei. Text carries a unit ("250 CVY", "1000 wei"), except "0"; an int is wei."""
    if isinstance(value, int) and not isinstance(value, bool):
        amount = value
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(0|\d+(?=\s*wei))\s*(?:wei)?\s*", value)):
        amount = int(match[1])
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*CVY\s*", value)):
        try:
            amount = to_wei(match[1])
        except ValueError:
            raise ValueError(f"{value!r} is finer than one wei, or too large") from None
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        raise ValueError(f"{value.strip()!r} has no unit: write {value.strip()}CVY or {value.strip()}wei")
    else:
        raise ValueError(f"{value!r} is not an amount; write '250 CVY' or '1000 wei'")
    if not 0 <= amount < 2**128:
        raise ValueError(f"{value!r} is not an amount between 0 and 2^128 − 1 wei")
    return amount


def parse_gas_price(value: object) -> int:
    """Convert a gas price to wei per gas. Text carries a unit ("300 gwei", "7 wei"); an int is wei."""
    if isinstance(value, int) and not isinstance(value, bool):
        price = value
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(0|\d+(?=\s*wei))\s*(?:wei)?\s*", value)):
        price = int(match[1])
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d{1,9})?)\s*gwei\s*", value)):
        price = to_wei(match[1]) // (CVY // GWEI)
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        raise ValueError(f"{value.strip()!r} has no unit: write '{value.strip()} gwei' or '{value.strip()} wei'")
    else:
        raise ValueError(f"{value!r} is not a gas price; write '300 gwei' or '7 wei'")
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


def _rpc_url(value: str) -> str:
    from covey.chain.rpc.endpoint import refusal_of

    if refusal := refusal_of(value):
        raise ValueError(refusal)  # never quoted: an address may contain a key
    return value


def split_listen(value: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[IPv6]:port``; the brackets are removed. Raises ValueError."""
    host, _, port = value.rpartition(":")
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.%\w]+)\]", host)
    valid_host = bracketed or re.fullmatch(r"[^\[\]\s/:@]+", host)
    if not valid_host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port, for instance 127.0.0.1:9464 or [::1]:9464")
    return (bracketed[1] if bracketed else host), int(port)


def _listen(value: str) -> str:
    split_listen(value)
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
"""CVY, in wei. Text carries its unit ("250 CVY")."""
GasPrice = Annotated[int, BeforeValidator(parse_gas_price), Unit("gwei", GWEI)]
"""Price of one gas, in wei. Text carries its unit ("300 gwei")."""
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
Address = Annotated[str, AfterValidator(parse_address)]
"""An account in checksum form."""
Listen = Annotated[str, AfterValidator(_listen)]
"""A listening address, host:port."""
Device = Annotated[str, AfterValidator(_device)]
Executor = Annotated[str, MayBePath(("unix:",)), AfterValidator(_executor)]
RemoteSignerAddress = Annotated[str, MayBePath(("clef:",)), AfterValidator(_remote_signer)]
RpcUrl = Annotated[str, MayBePath(), AfterValidator(_rpc_url)]
"""A JSON-RPC endpoint: http(s)://…, ws(s)://… or the path of an IPC socket."""
StoreLocation = Annotated[str, MayBePath(always=True)]
"""A block store: a folder, or the address of a Kubo RPC API."""
BaseName = Annotated[str, MayBePath()]
"""A base model: tiny, a folder, or a hub name."""
PinningServiceUrl = Annotated[str, AfterValidator(_pinning_service)]
