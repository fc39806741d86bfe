"""Which addresses the service may connect to on behalf of a client."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Other ports lead to mail servers, databases and the like, which may obey an HTTP request.
_WEB_PORTS = frozenset({80, 443})
# Networks that `is_global` of the oldest supported Python lets pass. Those of IPv6 carry an IPv4
# address inside that a gateway would unpack, past every check of ours: NAT64, 6to4, Teredo and its
# kin.
_NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2002::/16"),
    IPv6Network("2001::/23"),
)


class AddressGuard:
    """Decides which addresses the service may connect to: public ones on the web's ports, and
    `trusted` networks.
    """

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def allows(self, address: Address, port: int) -> bool:
        """Return whether a connection to `address`:`port` may be opened."""
        # ::ffff:10.0.0.1 is 10.0.0.1.
        plain = getattr(address, "ipv4_mapped", None) or address
        if any(plain.version == network.version and plain in network for network in self._trusted):
            return True
        return port in _WEB_PORTS and is_public(plain)


def is_public(address: Address) -> bool:
    """Return whether `address` is a unicast address of the public internet."""
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    # Link-local addresses with a zone, and forms that Python counts as global.
    if isinstance(address, IPv6Address) and (
        address.scope_id or address.is_site_local or address.ipv4_mapped
    ):
        return False

    return address.is_global and not address.is_multicast and not address.is_reserved
