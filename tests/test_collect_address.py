"""The guard: what is not the public internet is never connected to, whatever it is called and whoever leads there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from shoebox.collect._address import Guard, why_not_public
from shoebox.collect._download import Downloader
from shoebox.collect._outcome import Limits, RefusedError
from tests._line import in_a_thread
from tests._web import body, jpeg, redirect, web

QUICK = Limits(silence_s=1, total_s=3, tries=1, starts_per_s=1000)
PUBLIC, ALSO_PUBLIC = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
NOT_PUBLIC = [
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.4", "203.0.113.7", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "2001::1", "100::1", "3fff::1", "5f00::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a00:1", "no address",
]
FORMS = [
    "http://127.0.0.1{p}/", "http://127.1{p}/", "http://127.0.1{p}/", "http://2130706433{p}/", "http://0x7f000001{p}/",
    "http://0x7f.1{p}/", "http://0177.0.0.1{p}/", "http://017700000001{p}/", "http://0{p}/", "http://0.0.0.0{p}/",
    "http://localhost{p}/", "http://LOCALHOST{p}/", "http://localhost.{p}/", "http://127.0.0.1.{p}/",
    "http://[::1]{p}/", "http://[0:0:0:0:0:0:0:1]{p}/", "http://[::]{p}/", "http://[::ffff:127.0.0.1]{p}/",
    "http://[::ffff:7f00:1]{p}/", "http://[::127.0.0.1]{p}/", "http://[64:ff9b::7f00:1]{p}/", "http://[2002:7f00:1::]{p}/",
    "http://[::ffff:0:127.0.0.1]{p}/", "http://[fe80::1%25lo]{p}/", "http://[ff02::1]{p}/", "http://224.0.0.1{p}/",
    "http://169.254.169.254{p}/", "http://①②⑦.⓪.⓪.①{p}/", "http://127。0。0。1{p}/", "http://127%2e0%2e0%2e1{p}/",
    "http://127.0.0.1%00{p}/", "http://user:word@127.0.0.1{p}/", "http://example.org@127.0.0.1{p}/",
    "http://example.org\\@127.0.0.1{p}/", "http://127.0.0.1{p}#@example.org/", "http:127.0.0.1{p}", "http:///127.0.0.1{p}/",
    "//127.0.0.1{p}/", "HTTP://127.0.0.1{p}/", " http://127.0.0.1{p}/ ", "https://127.0.0.1{p}/", "ftp://127.0.0.1{p}/",
    "file:///etc/hostname", "file://127.0.0.1/etc/hostname", "data:image/png;base64,AAAA", "gopher://127.0.0.1{p}/",
    "http://127.0.0.1:22/", "http://10.0.0.1{p}/", "http://192.168.0.1{p}/", "http://[fd00::1]{p}/", "http://", "",
]


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """One port on every address of this machine, of both kinds; whoever connects is written down."""
    came: list[object] = []
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        listener.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    came.append(address)
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)


def fetch(url: str, guard: Guard, tmp_path) -> bytes:
    async def run() -> bytes:
        async def use(fetched):
            return fetched.body.read()

        async with Downloader(guard, QUICK) as downloader:
            return await downloader.fetch(url, tmp_path / "a.part", use)

    return in_a_thread(run())


def cause(url: str, guard: Guard, tmp_path) -> str:
    with pytest.raises(RefusedError) as refused:
        fetch(url, guard, tmp_path)
    return refused.value.cause


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_of_the_public_internet_has_a_reason(address):
    assert why_not_public(address)


@pytest.mark.parametrize("address", [PUBLIC, ALSO_PUBLIC, "8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_pass(address):
    assert why_not_public(address) is None


def test_the_listener_of_these_tests_hears():
    with listening() as (port, came):
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as last:
            last.recv(1)
        assert len(came) == 3


def test_fifty_forms_of_address_make_no_connection(tmp_path):
    assert len(FORMS) >= 50
    with listening() as (port, came):
        causes = {form: cause(form.format(p=f":{port}"), Guard(ports=None), tmp_path) for form in FORMS}
        assert came == []
    assert set(causes.values()) <= {"blocked_address", "bad_url", "unreachable"}, causes
    assert causes["http://127.1{p}/"] == causes["http://[64:ff9b::7f00:1]{p}/"] == "blocked_address"
    assert causes["file:///etc/hostname"] == causes["data:image/png;base64,AAAA"] == "bad_url"


def test_other_ports_than_80_and_443_are_not_asked(tmp_path):
    assert cause(f"http://{PUBLIC}:22/", Guard(), tmp_path) == "blocked_address"
    assert Guard().check_url(f"http://{PUBLIC}:80/").host == PUBLIC


class Names:
    """A name service: each question takes the next answer, the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.questions.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def internet(monkeypatch):
    """What is sent to the public address goes to a server here; every other connection is made as it is."""
    connect, went = asyncio.open_connection, []

    async def to(host, port, **options):
        went.append(host)
        return await connect("127.0.0.1" if host == PUBLIC else host, here.port if host == PUBLIC else port, **options)

    monkeypatch.setattr(asyncio, "open_connection", to)
    with web() as here:
        here.went = went
        yield here


@pytest.mark.parametrize("answers", [
    ["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [ALSO_PUBLIC, "::1"], [PUBLIC, "64:ff9b::7f00:1"], []])
def test_a_name_with_one_answer_that_is_not_public_is_not_asked(answers, internet, tmp_path):
    with listening() as (port, came):
        found = cause(f"http://pictures.example:{port}/", Guard(ports=None, resolve=Names(answers)), tmp_path)
        assert found == ("blocked_address" if answers else "unreachable")
        assert came == [] and internet.went == [] and internet.connections == 0


def test_the_connection_goes_to_the_address_that_was_judged(internet, tmp_path):
    """DNS rebinding: the second answer would be loopback, but nobody asks a second time before connecting."""
    internet.answers["/a.jpg"] = body(jpeg(1))
    with listening() as (port, came):
        names = Names([PUBLIC], ["127.0.0.1"])
        assert fetch(f"http://pictures.example:{port}/a.jpg", Guard(ports=None, resolve=names), tmp_path) == jpeg(1)
        assert set(internet.went) == {PUBLIC} and len(names.questions) == len(internet.went)
        assert internet.asked[-1].headers["host"] == f"pictures.example:{port}"
        assert came == []


def test_a_name_that_turns_to_loopback_between_two_connections_is_refused(internet, tmp_path):
    internet.answers["/robots.txt"] = body(b"", Connection="close")
    with listening() as (port, came):
        names = Names([PUBLIC], ["127.0.0.1"])
        assert cause(f"http://pictures.example:{port}/a.jpg", Guard(ports=None, resolve=names), tmp_path) == \
            "blocked_address"
        assert came == [] and internet.went == [PUBLIC]


@pytest.mark.parametrize("where", [
    "http://127.0.0.1:{port}/secret", "http://localhost:{port}/", "//127.0.0.1:{port}/", "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/", "http://2130706433:{port}/", "file:///etc/hostname", "ftp://127.0.0.1:{port}/",
    "http://a:b@127.0.0.1:{port}/", "data:image/png;base64,AAAA", "http://inside.example:{port}/", "http://[",
])
def test_redirects_are_judged_as_the_first_address_was(where, internet, tmp_path):
    async def names(host, port):
        return [PUBLIC] if host == "pictures.example" else ["127.0.0.1"] if host != "::1" else ["::1"]

    with listening() as (port, came):
        internet.answers["/a.jpg"] = redirect(where.format(port=port))
        internet.answers["/b.jpg"] = redirect("/a.jpg")
        for first in ("a", "b"):
            found = cause(f"http://pictures.example:{port}/{first}.jpg", Guard(ports=None, resolve=names), tmp_path)
            assert found in ("blocked_address", "bad_url")
        assert came == [] and set(internet.went) == {PUBLIC}


def test_five_redirects_are_followed_and_six_are_not(tmp_path):
    with web() as here:
        here.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(6)} | {"/6": body(jpeg(1))}
        assert fetch(here.url("/1"), Guard(allow_private=True), tmp_path) == jpeg(1)
        assert cause(here.url("/0"), Guard(allow_private=True), tmp_path) == "too_many_redirects"
