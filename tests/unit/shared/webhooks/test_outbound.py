import socket
import threading
from contextlib import contextmanager
from ipaddress import ip_address

import httpcore
import pytest

from shared.errors import InvalidField
from shared.webhooks import outbound
from shared.webhooks.outbound import Guard, Post, PrivateAddress, Undeliverable, is_public, normalized

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1",
    "192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "3fff::1", "3fff:fff::1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1", "2001:db8::1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:53aa::1",
]  # fmt: skip


@contextmanager
def a_receiver(answer: bytes):
    """Serves one request. Yields its port and what it received."""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                data = b""
                while b"\r\n\r\n" not in data or not data.endswith(b"}"):
                    data += connection.recv(65536)
                heard.append(data)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard


@pytest.mark.parametrize("address", PRIVATE)
def test_no_form_of_a_private_address_is_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet_are(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_inside_is_never_connected_to(address):
    post = Post(Guard(resolver=lambda host, port: [address]))

    with pytest.raises(PrivateAddress):
        post("http://receiver.example/hook", b"{}", {})


def test_one_inside_address_among_outside_ones_spoils_them_all():
    post = Post(Guard(resolver=lambda host, port: ["1.1.1.1", "127.0.0.1"]))

    with pytest.raises(PrivateAddress):
        post("http://receiver.example/hook", b"{}", {})


def test_a_rebound_name_is_resolved_only_once():
    # given a name that is public at the first question and private at every other
    asked = []

    def rebind(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with a_receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (port, heard):
        # when 127.0.0.1 stands for the public one
        status = Post(Guard(["127.0.0.0/8"], resolver=rebind))(f"http://receiver.example:{port}/hook", b"{}", {})

    # then
    assert (status, asked) == (200, ["receiver.example"])
    assert b"host: receiver.example" in heard[0].lower()


def test_a_redirect_is_not_followed():
    answer = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    with a_receiver(answer) as (port, heard):
        assert Post(Guard(["127.0.0.1/32"]))(f"http://127.0.0.1:{port}/", b"{}", {}) == 302
    assert len(heard) == 1


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n"])
def test_what_is_no_http_server_is_undeliverable(answer):
    with a_receiver(answer) as (port, _), pytest.raises(Undeliverable):
        Post(Guard(["127.0.0.1/32"]))(f"http://127.0.0.1:{port}/", b"{}", {})


def test_a_receiver_that_never_answers_is_left_in_time(monkeypatch):
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Undeliverable):
        Post(Guard(["127.0.0.1/32"]))(f"http://127.0.0.1:{silent.getsockname()[1]}/", b"{}", {})


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 300, "b\u00fccher..example"])
def test_a_name_without_an_address_is_undeliverable(name):
    with pytest.raises(Undeliverable):
        outbound.resolve(name, 80)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://receiver.example/", "http://", "http:///x", "http://u:p@receiver.example/", "http://10.0.0.1/",
        "https://[::1]/", "http://[::ffff:10.0.0.1]/", "http://receiver.example:99999/", "http://a b/", "http://[x/",
    ],
)  # fmt: skip
def test_an_address_that_could_never_be_delivered_to_is_refused(url):
    with pytest.raises(InvalidField):
        normalized(url, (), path="webhook_url")


def test_an_operator_may_allow_a_network_of_their_own():
    normalized("http://10.1.2.3/hook", ("10.1.0.0/16",), path="webhook_url")
    normalized("https://receiver.example/hook", (), path="webhook_url")
    with pytest.raises(InvalidField):
        normalized("http://10.2.2.3/hook", ("10.1.0.0/16",), path="webhook_url")


@pytest.mark.parametrize(
    ("url", "ascii_url"),
    [
        ("https://bücher.example/hook", "https://xn--bcher-kva.example/hook"),
        ("https://BÜCHER.example:8443/grüße?q=ä", "https://xn--bcher-kva.example:8443/gr%C3%BC%C3%9Fe?q=%C3%A4"),
        ("https://receiver.example/a%20b?c=%2F&d=1#part", "https://receiver.example/a%20b?c=%2F&d=1"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("http://[2606:4700:4700::1111]:80/x", "http://[2606:4700:4700::1111]:80/x"),
        ("https://receiver.example", "https://receiver.example"),
    ],
)
def test_an_address_is_kept_in_the_form_in_which_requests_are_sent(url, ascii_url):
    kept = normalized(url, (), path="webhook_url")

    assert kept == ascii_url
    assert normalized(kept, (), path="webhook_url") == kept
    httpcore.URL(kept)


@pytest.mark.parametrize(
    "url",
    [
        "https://xn--\u2603.example/", "https://-a.example/", "https://a..example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/", "https://a\u200b.example/\x00",
        "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "https://a b.example/",
        "https://⑩.⓪.⓪.①/", "https://a_%/", "https://\U000e0001/",
    ],
)  # fmt: skip
def test_an_address_whose_host_can_not_exist_is_refused(url):
    with pytest.raises(InvalidField):
        normalized(url, (), path="webhook_url")


def test_an_address_that_is_not_ascii_is_undeliverable_not_an_error():
    with pytest.raises(Undeliverable):
        Post(Guard(resolver=lambda host, port: ["1.1.1.1"]))("https://bücher.example/hook", b"{}", {})
