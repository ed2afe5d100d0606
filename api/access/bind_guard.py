"""Bind guard: refuses to serve a public address unless the operator has decided whether callers need a key."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.errors import InvalidSettings

if TYPE_CHECKING:
    from shared.settings import Settings

Address = str | tuple[str, int] | bytes | int  # as in gunicorn: host and port, a socket's path, or a file descriptor


def refuse_undecided(addresses: Sequence[Address], settings: "Settings") -> None:
    """Raises InvalidSettings when one of the addresses is public and DREAM_KEYS is not set."""
    public = [address for address in addresses if not is_local(address)]
    if public and settings.keys is None:
        raise InvalidSettings(
            f"{_shown(public[0])} can be reached from other machines, so decide whether callers need a key: set "
            "DREAM_KEYS=on (and DREAM_ADMIN_KEY, to create keys with), or DREAM_KEYS=off to let everyone in."
        )


def is_local(address: Address) -> bool:
    """Returns whether only this machine can connect. A Unix socket is local: its file permissions guard it."""
    if isinstance(address, tuple):
        return address[0] == "localhost" or is_loopback(address[0])
    return not isinstance(address, int)  # an inherited socket may be anything


@lru_cache(maxsize=1024)  # called for every request, with the same few addresses
def is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _shown(address: Address) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
