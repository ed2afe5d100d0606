"""Outbound requests to addresses that clients name: never into a private network, however the name resolves."""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpcore
import idna

from shared.errors import DreamError, InvalidField

TIMEOUT_S = 10.0  # for the whole exchange, so that a receiver that trickles bytes cannot hold a thread
USER_AGENT = "dreamqueue-webhooks/1"
# IPv6 ranges that embed an IPv4 address and lead wherever it leads.
TUNNELS = [
    ipaddress.IPv6Network(net)
    for net in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
]
NON_PUBLIC = [
    ipaddress.ip_network(net)
    for net in (
        *("192.0.0.0/24", "192.88.99.0/24"),
        *("fec0::/10", "100::/64", "3fff::/20", "5f00::/16"),
    )
]

KEPT = "/:@!$&'()*+,;=?%-._~"  # of a path and a query; everything else is escaped
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
LONGEST_HOST = 253

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]


class Undeliverable(DreamError):
    """The address can't be reached."""

    code = "undeliverable"
    retryable = True


class PrivateAddress(Undeliverable):
    """The address leads into a private network."""

    code = "private_address"


def normalized(url: str, allowed: Iterable[str], *, path: str) -> str:
    """Returns the address in ASCII, as requests are sent to it: an international host name by IDNA, the rest escaped.

    Raises InvalidField for an address that can never be delivered to. Host names are resolved on delivery.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise InvalidField("must be a valid URL", path=path) from exc
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise InvalidField("must be an http or https address", path=path)
    if parts.username or parts.password:
        raise InvalidField("must not contain a user name or password; verify the signature instead", path=path)
    address = _as_address(host)
    if address is None:
        host = _as_ascii(host, path)
        address = _as_address(host)  # written in other digits, for example full-width ones
    if address is not None and not Guard(allowed).is_allowed(address):
        raise InvalidField("must not be an address in a private network", path=path)
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if port is None else f"{shown}:{port}"
    return urlunsplit((parts.scheme, netloc, quote(parts.path, safe=KEPT), quote(parts.query, safe=KEPT), ""))


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _as_ascii(host: str, path: str) -> str:
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as exc:
            raise InvalidField("must have a valid host name", path=path) from exc
    labels = host.removesuffix(".").split(".")
    if len(host) > LONGEST_HOST or not all(LABEL.fullmatch(label) for label in labels):
        raise InvalidField("must have a valid host name", path=path)
    return host


def is_public(address: Address) -> bool:
    """Tells whether requests to this address are allowed by default."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address.scope_id or any(address in net for net in TUNNELS):
            return False
    if any(address.version == net.version and address in net for net in NON_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(host: str, port: int) -> Sequence[str]:
    """Resolves a host name to all its addresses. Raises Undeliverable."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Undeliverable(f"{host[:100]} has no address.") from exc
    return [str(entry[4][0]) for entry in found]


class Guard(httpcore.NetworkBackend):
    """Resolves a name once, checks every address, and connects to a checked one; TLS still verifies the name."""

    def __init__(self, allowed: Iterable[str] = (), *, resolver: Resolver = resolve) -> None:
        self._allowed = [ipaddress.ip_network(net) for net in allowed]
        self._resolve = resolver
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        ends_at = time.monotonic() + TIMEOUT_S
        addresses = [ipaddress.ip_address(text) for text in self._resolve(host, port)]
        fit = next((address for address in addresses if self.is_allowed(address)), None)
        # Refuse the name if any of its addresses is private: a mix is an attempt to get inside.
        if fit is None or not all(map(self.is_allowed, addresses)):
            raise PrivateAddress
        stream = self._sockets.connect_tcp(str(fit), port, timeout, local_address, socket_options)
        return _Timed(stream, ends_at)

    def is_allowed(self, address: Address) -> bool:
        """Tells whether the address is public or in a network that the operator allows."""
        inside = getattr(address, "ipv4_mapped", None) or address
        return is_public(address) or any(inside.version == net.version and inside in net for net in self._allowed)


class _Timed(httpcore.NetworkStream):
    """A connection on which every operation shares one deadline."""

    def __init__(self, stream: httpcore.NetworkStream, ends_at: float) -> None:
        self._stream = stream
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - ours is shorter
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - likewise
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - likewise
    ) -> httpcore.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._ends_at)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's
        return self._stream.get_extra_info(info)

    def _left(self) -> float:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout
        return left_s


class Post:
    """Sends one POST request. Follows no redirect and reads only the response's head."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Returns the receiver's status code. Raises Undeliverable."""
        all_headers = {"content-type": "application/json", "user-agent": USER_AGENT, **headers}
        limits = {"connect": TIMEOUT_S, "read": TIMEOUT_S, "write": TIMEOUT_S, "pool": TIMEOUT_S}
        try:
            with (
                httpcore.ConnectionPool(network_backend=self._guard, max_connections=1) as pool,
                pool.stream(
                    "POST", url, headers=list(all_headers.items()), content=body, extensions={"timeout": limits}
                ) as answer,
            ):
                return answer.status
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as exc:
            raise Undeliverable(f"The receiver did not accept the request: {type(exc).__name__}.") from exc
        except (httpcore.UnsupportedProtocol, TypeError, ValueError, OSError) as exc:  # TypeError: it is not ASCII
            raise Undeliverable("The receiver's address can't be used.") from exc
