"""Pictures over TLS: the address is checked and connected to, the certificate is asked for by the host's name."""

from __future__ import annotations

import ssl
import subprocess

import httpx
import pytest

import shoebox
from shoebox.collect import Limits, UrlList
from shoebox.collect._address import Guard
from tests._web import body, jpeg, status, web

NAME = "pictures.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate for one name, made now; nobody else trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={NAME}",
                    "-addext", f"subjectAltName=DNS:{NAME}"], check=True, capture_output=True)
    return key, cert


@pytest.fixture
def here(certificate):
    """A server with that certificate; `names` are the host names that clients asked it for."""
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    names = []
    context.sni_callback = lambda connection, name, context: names.append(name)
    with web(tls=context) as server:
        server.answers |= {"/robots.txt": status(404), "/a.jpg": body(jpeg(1)), "/b.jpg": body(jpeg(2))}
        server.names = names
        yield server


def collect(tmp_path, here, host, *targets):
    async def resolve(name, port):
        return ["127.0.0.1"]

    urls = [f"https://{host}:{here.port}{target}" for target in targets]
    return shoebox.collect(tmp_path / "bears", {"black": ""}, source=UrlList(urls), limits=Limits(tries=1),
                           guard=Guard(allow_private=True, resolve=resolve)).records


@pytest.fixture
def trusted(certificate, monkeypatch):
    """As if a known authority had signed it; the names in it are checked as ever."""
    made = ssl.create_default_context(cafile=certificate[1])
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **options: made)


def test_pictures_come_over_tls_with_the_name_of_the_host(tmp_path, here, trusted):
    records = collect(tmp_path, here, NAME, "/a.jpg", "/b.jpg")
    assert [record.state for record in records] == ["added", "added"]
    assert set(here.names) == {NAME}
    assert {one.headers["host"] for one in here.asked} == {f"{NAME}:{here.port}"}


def test_a_certificate_for_another_name_is_refused(tmp_path, here, trusted):
    record, = collect(tmp_path, here, "other.example", "/a.jpg")
    assert (record.state, record.cause) == ("refused", "unreachable") and "certificate" in record.sentence.lower()
    assert here.asked == [], "nothing was asked over such a line"


def test_a_certificate_that_nobody_knows_is_refused(tmp_path, here):
    record, = collect(tmp_path, here, NAME, "/a.jpg")
    assert (record.state, record.cause) == ("refused", "unreachable") and "certificate" in record.sentence.lower()
    assert here.asked == []
