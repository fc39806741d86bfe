"""S-3: other people's URLs reach no address that is not public."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_network

import httpcore
import pytest

from service.intake.address_guard import AddressGuard
from service.intake.fetching import GuardedClient
from service.intake.guarded_backend import GuardedBackend, resolve
from service.intake.outgoing_urls import AddressRefusedError, FetchError

REFUSED = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1:80/x.png",
    "https://localhost/",
    "http://localhost./",
    "http://0.0.0.0/",
    "http://0/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://user@1.1.1.1/",
    "http://user:pass@1.1.1.1/",
    "http://1.1.1.1:8080/",
    "http://1.1.1.1:22/",
    "https://1.1.1.1:6379/",
    "file:///etc/passwd",
    "gopher://1.1.1.1/",
    "ftp://1.1.1.1/x",
    "data:image/png;base64,AAAA",
    "unix:///run/store.sock",
    "http:///nohost",
    "http://",
    "//1.1.1.1/",
    "",
    "http://[::1",
    "http://1.1.1.1:99999/",
    "http://\x00/",
]


class RecordingNetwork(httpcore.AsyncMockBackend):
    """A network on which every connect is written down and then answered from a script."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__([])
        self.connects: list[tuple[str, int]] = []
        self._answers = list(answers)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connects.append((host, port))
        return httpcore.AsyncMockStream([self._answers.pop(0)])


def fetch(url: str, network: RecordingNetwork, resolver=resolve, trusted=()) -> bytes:  # noqa: ANN001
    async def run() -> bytes:
        client = GuardedClient(
            GuardedBackend(AddressGuard(trusted), resolver, network), timeout_s=5
        )
        try:
            return b"".join([chunk async for chunk in client.fetch(url)])
        finally:
            await client.close()

    return asyncio.run(run())


def test_the_list_is_as_long_as_the_bar_asks() -> None:
    assert len(REFUSED) >= 40


@pytest.mark.parametrize("url", REFUSED)
def test_no_connection_is_opened_to_an_address_that_is_not_public(url: str) -> None:
    network = RecordingNetwork(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(FetchError):
        fetch(url, network)
    assert network.connects == []


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "http://1.1.1.1:22/",
        "//10.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_a_first_url(target: str) -> None:
    network = RecordingNetwork(
        f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    with pytest.raises(AddressRefusedError):
        fetch("http://1.1.1.1/", network)

    assert network.connects == [("1.1.1.1", 80)]


def test_a_name_that_rebinds_is_resolved_once_and_pinned() -> None:
    answers = [["1.1.1.1"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    network = RecordingNetwork(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert fetch("http://rebind.example/", network, rebinding) == b"ok"
    assert network.connects == [("1.1.1.1", 80)]

    with pytest.raises(AddressRefusedError):
        fetch("http://rebind.example/", network, rebinding)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    async def mixed(host: str, port: int) -> list[str]:
        return ["1.1.1.1", "10.0.0.1"]

    network = RecordingNetwork()
    with pytest.raises(AddressRefusedError):
        fetch("http://mixed.example/", network, mixed)

    assert network.connects == []


def test_the_fourth_redirect_is_not_followed() -> None:
    hop = b"HTTP/1.1 302 Found\r\nLocation: http://1.1.1.1/next\r\nContent-Length: 0\r\n\r\n"
    network = RecordingNetwork(hop, hop, hop, hop, hop)
    with pytest.raises(FetchError, match="too often"):
        fetch("http://1.1.1.1/", network)
    assert len(network.connects) == 4


def test_a_trusted_network_may_be_reached_on_any_port() -> None:
    network = RecordingNetwork(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert fetch("http://127.0.0.1:9000/", network, trusted=[ip_network("127.0.0.0/8")]) == b"ok"


def test_a_compressed_body_is_refused() -> None:
    network = RecordingNetwork(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"
    )
    with pytest.raises(FetchError, match="compressed"):
        fetch("http://1.1.1.1/", network)


def test_the_time_limit_never_interrupts_who_takes_the_bytes() -> None:
    network = RecordingNetwork(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok", b"ok")
    client = GuardedClient(GuardedBackend(AddressGuard(), resolve, network), timeout_s=0.2)

    async def slowly() -> bytes:
        taken = b""
        try:
            async for chunk in client.fetch("http://1.1.1.1/"):
                await asyncio.sleep(0.4)  # such as a disk that is slow
                taken += chunk
        except FetchError:
            assert taken == b"ok"

        return taken

    assert asyncio.run(slowly()).startswith(b"ok")


def test_a_server_that_never_answers_is_given_up() -> None:
    class Silence(httpcore.AsyncMockStream):
        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            await asyncio.sleep(60)
            return b""

    class SilentNetwork(RecordingNetwork):
        async def connect_tcp(self, *args: object, **kwargs: object) -> httpcore.AsyncNetworkStream:
            return Silence([])

    client = GuardedClient(GuardedBackend(AddressGuard(), resolve, SilentNetwork()), timeout_s=0.2)

    async def wait() -> list[bytes]:
        return [chunk async for chunk in client.fetch("http://1.1.1.1/")]

    with pytest.raises(FetchError, match="too long"):
        asyncio.run(wait())
