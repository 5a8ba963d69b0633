"""One-off transactions of a command. The daemon's queue (`covey.chain.sender`) is for what must survive a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.errors import ChainError
from covey.cli.errors import CliError

if TYPE_CHECKING:
    from covey.chain.answers import Receipt
    from covey.chain.contracts.base import Call
    from covey.chain.keys import Signer
    from covey.chain.rpc import Rpc


class Wallet:
    """Sends transactions of one key and waits for each."""

    def __init__(self, rpc: Rpc, signer: Signer) -> None:
        self.rpc = rpc
        self.signer = signer

    @property
    def address(self) -> str:
        """The sender."""
        return self.signer.address

    def send(self, call: Call) -> Receipt:
        """Send and wait until mined. Raises CliError, one line that begins with what was tried."""
        from covey.chain.send import send

        try:
            return send(self.rpc, self.signer, call)
        except ChainError as error:
            text = str(error)
            raise CliError(text if text.startswith(call.describe) else f"{call.describe}: {text}") from None
