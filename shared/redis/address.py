"""Addresses of Redis: of a single server, or of a master that sentinels watch.

redis://:password@host:6379/0                              rediss:// for TLS
redis+sentinel://:password@host:26379,host:26379/name/0    ?sentinel_password=... where the sentinels want one
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

SENTINEL_SCHEME = "redis+sentinel"
SENTINEL_PORT = 26379


@dataclass(frozen=True, kw_only=True)
class SentinelAddress:
    """The addresses of the sentinels, and the name of the master that they watch."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    database: int = 0
    username: str | None = None
    password: str | None = None  # of the master and its replicas
    sentinel_password: str | None = None

    @classmethod
    def parse(cls, url: str) -> "SentinelAddress | None":
        """Parses an address; None if it names a single server. Raises ValueError, with a sentence."""
        parts = urlsplit(url)
        if parts.scheme != SENTINEL_SCHEME:
            return None
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        master, _, database = parts.path.strip("/").partition("/")
        if not hosts or not master or not (database or "0").isdecimal():
            raise ValueError("must have the form redis+sentinel://host:26379,host:26379/name/0")
        options = parse_qs(parts.query)
        if unknown := options.keys() - {"sentinel_password"}:  # ignoring one for TLS would send passwords in the clear
            raise ValueError(f"has an option that redis+sentinel:// does not know: {', '.join(sorted(unknown))}")
        return cls(
            sentinels=tuple(_host_and_port(host) for host in hosts.split(",")),
            master=master,
            database=int(database or 0),
            username=unquote(username) or None,
            password=unquote(password) or None,
            sentinel_password=next(iter(options.get("sentinel_password", [])), None),
        )

    @property
    def hosts(self) -> list[str]:
        """Host and port of each sentinel, IPv6 addresses in brackets."""
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.sentinels]

    def broker_url(self) -> str:
        """Returns the address as kombu's Sentinel transport takes it."""
        name, password = (quote(text or "", safe="") for text in (self.username, self.password))
        login = f"{name}:{password}@" if password else ""
        return ";".join(f"sentinel://{login}{host}/{self.database}" for host in self.hosts)


def describe(url: str) -> str:
    """Returns host and port, or the sentinels and the master's name; never a password."""
    address = SentinelAddress.parse(url)
    if address is not None:
        return f"the master '{address.master}' of the sentinels {', '.join(address.hosts)}"
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdecimal() else (text, "", str(SENTINEL_PORT))
    if not host:
        raise ValueError("must name a host for each sentinel, as in redis+sentinel://host:26379/name/0")
    return host.strip("[]"), int(port)
