"""Base of all off-chain documents: a strict model, canonical bytes, one-line errors, common field types."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from covey.protocol import canonical
from covey.protocol.canonical import DocumentError

PER = 10_000
"""Denominator of fractions."""


class Strict(BaseModel):
    """A frozen model without unknown fields and without conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Document(Strict):
    """A strict model that is stored under a CID."""

    title: ClassVar[str] = "document"

    def canonical_bytes(self) -> bytes:
        """The canonical bytes of this document. Fields that are None are left out."""
        return canonical.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a stored document.

        Raises:
            DocumentError: not canonical JSON, an unknown or missing field, or a value out of bounds.
        """
        document = cls._validate(canonical.loads(data))
        if document.canonical_bytes() != data:
            raise DocumentError(f"{cls.title}: not in canonical form: a null or a default value has another spelling")
        return document

    @classmethod
    def parse(cls, text: bytes | dict[str, Any]) -> Self:
        """Read a hand-written document: any whitespace and order of keys, but the same fields and bounds.

        Raises:
            DocumentError: like `from_bytes`, except for the canonical form.
        """
        return cls._validate(canonical.loads(text, canonical=False) if isinstance(text, bytes) else text)

    @classmethod
    def _validate(cls, fields: dict[str, Any]) -> Self:
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise DocumentError(f"{cls.title}: {describe_errors(error)}") from None


MAX_ERRORS = 8
"""Errors of a document that one message lists."""


def describe_errors(error: ValidationError, root: str = "document") -> str:
    """The validation errors in one line: where each is and what it is; beyond `MAX_ERRORS`, how many more there are.

    `root` names the place where an error is about the whole value.
    """
    found = [
        f"{'.'.join(str(part) for part in one['loc']) or root}: {one['msg']}" for one in error.errors(include_url=False)
    ]
    rest = len(found) - MAX_ERRORS
    return "; ".join(found[:MAX_ERRORS]) + (f"; and {rest} more" if rest > 0 else "")


def _matches(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"must be {what}, not {value[:80]!r}")
        return value

    return AfterValidator(check)


def _decimal(value: str) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"must be a decimal number, not {value[:80]!r}") from None
    if not number.is_finite() or len(value) > 40 or decimal_text(number) != value:
        raise ValueError(f"must be a plain decimal (no exponent, no trailing zeros), not {value[:80]!r}")
    return value


def decimal_text(number: Decimal | float) -> str:
    """Format a number as a plain decimal string without exponent or trailing zeros; floats in their shortest form."""
    value = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


Hex32 = Annotated[str, _matches(r"[0-9a-f]{64}", "64 lower-case hex digits")]
"""32 bytes, usually a sha2-256 digest."""
AddressHex = Annotated[str, _matches(r"0x[0-9a-f]{40}", "a lower-case 0x address")]
Name = Annotated[str, _matches(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", "a name (letters, digits, _ . + -, at most 64)")]
Line = Annotated[str, _matches(r"[^\x00-\x1f\x7f]{1,500}", "one line of at most 500 characters")]
DecimalText = Annotated[str, AfterValidator(_decimal)]
"""A decimal fraction as a string in its canonical spelling."""
Count = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
Positive = Annotated[int, Field(ge=1, le=(1 << 53) - 1)]
Fraction = Annotated[int, Field(ge=0, le=PER)]
"""A fraction in 1/10000."""
Score = Annotated[int, Field(ge=0, le=0x7FFF)]
Version1 = Annotated[int, Field(ge=1, le=1)]
"""The format's version. A Literal would accept true for 1."""
