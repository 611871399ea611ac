"""Which addresses may be asked: those of the public internet, and no other, unless a person asks for others.

`ipaddress.is_global` alone lets multicast, NAT64 and 6to4 through, in which a loopback address can hide; what is
embedded is therefore unwrapped and judged itself. Names are resolved once, every answer has to pass, and the
connection goes to the very address that was judged, so that a second answer (DNS rebinding) is never asked for.

Behind a proxy it is the proxy that resolves names: Shoebox asks hosts directly and reads no proxy settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx

from shoebox.collect._outcome import RefusedError

__all__ = ["Guard", "Resolver", "system_resolver", "why_not_public"]

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = frozenset({80, 443})
_MAX_URL_CHARS = 8192
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, (
    "192.0.0.0/24",  # protocol assignments, 192.0.0.8 among them
    "192.88.99.0/24",  # 6to4 relays, given up
    "64:ff9b:1::/48",  # NAT64 of a local network
    "3fff::/20",  # documentation
)))
_EMBEDDED = tuple((ipaddress.IPv6Network(network), shift) for network, shift in (
    ("::/96", 0),  # IPv4-compatible
    ("::ffff:0:0/96", 0),  # IPv4-mapped
    ("::ffff:0:0:0/96", 0),  # IPv4-translated
    ("64:ff9b::/96", 0),  # NAT64
    ("2002::/16", 80),  # 6to4
))
_ISATAP = (0x00005EFE, 0x02005EFE)


def why_not_public(text: str) -> str | None:
    """Why a numeric address is none of the public internet, in a few words; None when it is one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not a numeric address"
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "bound to one network card"
    return next((why for candidate in (address, *_inside(address)) if (why := _fault(candidate))), None)


def _inside(address: _Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address carries."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    number = int(address)
    for network, shift in _EMBEDDED:
        if address in network:
            yield ipaddress.IPv4Address(number >> shift & 0xFFFFFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)


def _fault(address: _Address) -> str | None:
    named = (("is_unspecified", "no address at all"), ("is_loopback", "this machine itself"),
             ("is_link_local", "the local network"), ("is_multicast", "a group of machines"),
             ("is_private", "a private network"), ("is_site_local", "a private network"),
             ("is_reserved", "reserved"))
    if _is_carrier(address):
        return None  # its carried address is judged in its place
    for name, words in named:
        if getattr(address, name, False):
            return words
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return "reserved"
    if not address.is_global:
        return "not part of the public internet"
    if isinstance(address, ipaddress.IPv6Address) and int(address) >> 125 != 1:  # 2000::/3 is all that is given out
        return "reserved"
    return None


def _is_carrier(address: _Address) -> bool:
    """IPv4-mapped and NAT64 addresses of a public host are that host; the other kinds are judged as they stand too."""
    if not isinstance(address, ipaddress.IPv6Address):
        return False
    return any(address in ipaddress.IPv6Network(network) for network in ("::ffff:0:0/96", "64:ff9b::/96"))


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Every address that the system names for a host, in its order. A number is one already."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host.strip("[]")))]
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


@dataclass(frozen=True)
class Guard:
    """What may be asked: public addresses, on `ports`. `allow_private` lets every address and every port through."""

    allow_private: bool = False
    ports: frozenset[int] | None = _PORTS
    resolve: Resolver = field(default=system_resolver)

    def check_url(self, text: str) -> httpx.URL:
        """The address as it will be asked; `RefusedError` when it is none for a picture of the web."""
        shown = text if len(text) <= 120 else f"{text[:117]}..."
        try:
            url = httpx.URL(text.strip()) if len(text) <= _MAX_URL_CHARS else httpx.URL()
        except (httpx.InvalidURL, ValueError, TypeError):
            raise RefusedError("bad_url", f"{shown!r} is not a web address. Check the list it comes from.") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise RefusedError("bad_url", f"{shown!r} is not an http or https address; only those are asked. Files of "
                               "this machine can be collected as a folder or an archive.")
        if url.userinfo:
            raise RefusedError("bad_url", f"The address of {url.host!r} carries a user name or password, which are "
                               "never sent. Take them out.")
        if not self.allow_private and self.ports is not None and url.port not in (None, *self.ports):
            raise RefusedError("blocked_address", f"{url.host!r} is asked on port {url.port}; only 80 and 443 are. If "
                               "the address is your own, pass allow_private=True.")
        return url

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The checked numeric addresses of a host; `RefusedError` when there is none or one of them is not public."""
        try:
            answers = await self.resolve(host, port)
        except (OSError, UnicodeError):
            answers = ()
        if not answers:
            raise RefusedError("unreachable", f"There is no host {host!r}, or the name service does not answer. Check "
                               "the address and the connection.")
        for answer in () if self.allow_private else answers:
            why = why_not_public(answer)
            if why is not None:
                raise RefusedError("blocked_address", f"{host!r} leads to {answer}: {why}. Such addresses are not "
                                   "asked. If it is your own server, pass allow_private=True.")
        return answers
