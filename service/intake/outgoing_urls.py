"""Which URLs of clients may be tried at all, and why one was not fetched.

FetchError               nothing was fetched
├── AddressRefusedError       the URL or an address it leads to is not allowed (`fetch_refused`)
└── FetchFailedError          the other side, or the network, failed (`fetch_failed`)
"""

from __future__ import annotations

import httpx

from service.protocol.problems import ServiceError


class FetchError(ServiceError):
    """Nothing was fetched."""


class AddressRefusedError(FetchError):
    """The URL, or an address behind it, is not allowed.

    The detail does not say which address it led to.
    """

    def __init__(self, detail: str = "The URL does not lead to a public web server") -> None:
        super().__init__("fetch_refused", detail)


class FetchFailedError(FetchError):
    """The server did not deliver the file."""

    def __init__(self, detail: str = "The URL could not be fetched") -> None:
        super().__init__("fetch_failed", detail)


def checked_url(text: str) -> httpx.URL:
    """Return `text` as a URL that may be tried: http or https, a host, no user name.

    Raises AddressRefusedError for any other. Where the host leads is only known once it is
    resolved: `service.intake.guarded_backend` checks that.
    """
    try:
        url = httpx.URL(text)
        host = url.host  # decodes international names, and fails on those that are none
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefusedError("The URL is malformed") from error

    # httpx takes any number, and the resolver would fail on it in its own ways.
    if url.port is not None and not 0 < url.port < 65_536:
        raise AddressRefusedError("The URL is malformed")
    if url.scheme not in ("http", "https") or not host:
        raise AddressRefusedError("Only http and https URLs may be fetched")
    # A trailing dot is the root's; an empty label before it names nothing.
    if not all(host.removesuffix(".").split(".")) and ":" not in host:
        raise AddressRefusedError("The URL is malformed")
    # http://trusted.example@attacker.example reads like another host.
    if url.userinfo:
        raise AddressRefusedError("The URL may not carry a user name")

    return url
