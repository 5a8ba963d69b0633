"""Tokenisation of records."""

from __future__ import annotations

import pytest

from covey.lora.bases.resolve import BaseFolder
from covey.lora.data.encode import Encoder
from covey.lora.errors import DataError


def test_encoding_adds_end_of_text_and_cuts_to_the_length(tiny: BaseFolder) -> None:
    encoder = Encoder(tiny.folder, 0, 12)
    short, long = encoder.encode(["Cholera", "word " * 50])
    assert short[0] == short[-1] == 0
    assert 0 not in short[1:-1]
    assert len(long) == 12
    with pytest.raises(DataError, match="at least 2"):
        Encoder(tiny.folder, 0, 1)
