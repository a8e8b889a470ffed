"""Package hosts come from this machine's own configuration, and the proxy passes nothing else."""

from __future__ import annotations

import http.client
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hcluster.errors import LocalCloudError
from hcluster.localcloud import apt_sources, base_image
from hcluster.localcloud.apt_sources import AptSource
from hcluster.localcloud.package_cache import PackageCache
from hcluster.localcloud.package_proxy import PackageProxy, ProxyPolicy

DEB822 = """\
Types: deb deb-src
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/a.gpg

Types: deb
URIs: http://off.example/
Suites: x
Enabled: no

Types: deb
URIs: https://inline.example
Suites: bookworm-backports
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 abc
"""


def test_deb822_sources_are_read_one_by_suite() -> None:
    assert apt_sources.parse_deb822(DEB822) == [
        AptSource("http://mirror.example/debian", "bookworm", ("main",), "/usr/share/keyrings/a.gpg"),
        AptSource("http://mirror.example/debian", "bookworm-updates", ("main",), "/usr/share/keyrings/a.gpg"),
        AptSource("https://inline.example", "bookworm-backports", ("main", "contrib")),
    ]


def test_one_line_sources_are_read_with_their_options() -> None:
    text = """
    # deb http://no.example x main
    deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main contrib # end
    deb-src http://a.example/debian bookworm main
    deb http://flat.example ./
    """
    assert apt_sources.parse_one_line(text) == [
        AptSource("http://a.example/debian", "bookworm", ("main", "contrib"), "/k.gpg"),
        AptSource("http://flat.example", "./", ()),
    ]


def test_files_that_apt_ignores_are_ignored(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(DEB822)
    (parts / "old.list.disabled").write_text("deb http://old.example x main\n")
    (tmp_path / "sources.list").write_text("deb http://a.example y main\n")
    hosts = apt_sources.package_hosts(apt_sources.read_sources(tmp_path))
    assert hosts == {"a.example", "mirror.example", "inline.example"}


def test_hosts_of_pip_and_maven_count_where_they_are_configured(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://Pip.example/simple\n[install]\nextra-index-url=\n"
    )
    (tmp_path / "settings.xml").write_text("<mirror><url> https://maven.example/x </url></mirror>")
    hosts = apt_sources.package_hosts(
        [],
        pip_files=[tmp_path / "pip.conf", tmp_path / "none"],
        maven_files=[tmp_path / "settings.xml", tmp_path / "none"],
    )
    assert hosts == {"pip.example", "maven.example"}


def test_only_debian_12_makes_the_base() -> None:
    ours = AptSource("http://a.example", "bookworm-security", ("main",))
    others = [
        AptSource("http://b.example", suite, ("main",)) for suite in ("trixie", "cloud-sdk-bookworm", "bookworms")
    ]
    assert base_image.debian_sources([ours, *others]) == (ours,)
    with pytest.raises(LocalCloudError, match="no apt source for Debian 12"):
        base_image.debian_sources(others)


def test_the_base_is_known_by_the_hash_of_what_goes_into_it() -> None:
    one = [AptSource("http://a.example", "bookworm", ("main",))]
    assert base_image.digest_of(one) == base_image.digest_of(list(one))
    assert base_image.digest_of(one) != base_image.digest_of([AptSource("http://b.example", "bookworm", ("main",))])


def test_the_base_is_named_and_found_like_debians_own(tmp_path: Path) -> None:
    found = base_image.BaseImage("0123456789abcdef0123", tmp_path, "20261121")
    assert found.name == "debian-12-amd64-20261121-local"
    assert found.image_id == "ami-0123456789abcdef0"


def test_mmdebstrap_gets_the_machines_sources() -> None:
    source = AptSource("http://a.example/debian", "bookworm", ("main",), "/k.gpg")
    command = base_image.bootstrap_command(Path("/target"), [source])
    assert command[-2:] == ["/target", "deb [signed-by=/k.gpg] http://a.example/debian bookworm main"]
    assert any("openssh-server" in argument for argument in command)


POLICY = ProxyPolicy(frozenset({"a.example"}), lambda address: address == "10.70.16.4")


@pytest.mark.parametrize(
    ("client", "host", "port", "reason"),
    [
        ("10.70.16.4", "a.example", 80, ""),
        ("10.70.16.4", "A.Example", 443, ""),
        ("10.70.16.5", "a.example", 80, "not an instance that is being baked"),
        ("10.70.16.4", "b.example", 80, "not a package host"),
        ("10.70.16.4", "sub.a.example", 80, "not a package host"),
        ("10.70.16.4", "a.example", 22, "port 22"),
    ],
)
def test_the_proxy_passes_package_hosts_to_instances_being_baked(
    client: str, host: str, port: int, reason: str
) -> None:
    refusal = POLICY.refusal(client, host, port)
    assert reason in refusal
    assert bool(refusal) == bool(reason)


class _Origin(http.server.BaseHTTPRequestHandler):
    """A package host; ``/short`` promises more than it sends."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = b"x" * 300_000
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.send_header("Content-Length", str(len(body) * (2 if self.path.startswith("/short") else 1)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def origin() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Origin", (_Origin,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


class _LoopbackPolicy(ProxyPolicy):
    """Ports of a test are not 80."""

    def refusal(self, client: str, host: str, port: int) -> str:
        return super().refusal(client, host, 80 if port > 1024 else port)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    policy = _LoopbackPolicy(frozenset({"127.0.0.1"}), lambda address: address == "127.0.0.1")
    running = PackageProxy(listener, policy, PackageCache(tmp_path / "packages"))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    running.start()
    yield address
    running.stop()


def _get(proxy: str, url: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy, timeout=60)
    connection.request("GET", url)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_package_is_fetched_once_and_kept(origin: tuple[str, list[str]], proxy: str, tmp_path: Path) -> None:
    host, asked = origin
    assert _get(proxy, f"http://{host}/pool/a_1.deb") == (200, b"x" * 300_000)
    assert _get(proxy, f"http://{host}/pool/a_1.deb") == (200, b"x" * 300_000)
    assert asked == ["/pool/a_1.deb"]
    assert len(list((tmp_path / "packages").iterdir())) == 1


def test_indexes_and_errors_are_passed_on_and_not_kept(origin: tuple[str, list[str]], proxy: str) -> None:
    host, asked = origin
    for _ in range(2):
        assert _get(proxy, f"http://{host}/dists/InRelease")[0] == 200
        assert _get(proxy, f"http://{host}/none.deb")[0] == 404
    assert len(asked) == 4


def test_a_broken_transfer_is_broken_for_the_client_too_and_not_kept(
    origin: tuple[str, list[str]], proxy: str, tmp_path: Path
) -> None:
    host, asked = origin
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            _get(proxy, f"http://{host}/short.deb")
    assert len(asked) == 2
    assert list((tmp_path / "packages").iterdir()) == []


def test_other_hosts_are_refused_with_the_reason(proxy: str) -> None:
    status, body = _get(proxy, "http://elsewhere.example/x")
    assert status == 403
    assert b"elsewhere.example is not a package host of this machine" in body


def test_what_is_no_proxy_request_is_refused(proxy: str) -> None:
    assert _get(proxy, "/")[0] == 400


def test_connect_tunnels_to_allowed_hosts_only(origin: tuple[str, list[str]], proxy: str) -> None:
    host, _ = origin
    name, port = host.split(":")
    connection = http.client.HTTPConnection(proxy, timeout=60)
    connection.set_tunnel(name, int(port))
    connection.request("GET", "/through")
    assert connection.getresponse().read() == b"x" * 300_000
    connection.close()
    refused = http.client.HTTPConnection(proxy, timeout=60)
    refused.set_tunnel("elsewhere.example", 443)
    with pytest.raises(OSError, match="403"):
        refused.request("GET", "/")
    refused.close()


def test_the_cache_gives_up_what_was_used_longest_ago(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path / "packages", limit=250)
    urls = [f"http://a.example/{number}.deb" for number in range(3)]
    for age, url in enumerate(urls):
        list(cache.store(url, [b"y" * 100], 100))
        path = cache.find(url)
        if path is not None:
            os.utime(path, (age, age))
    assert [cache.find(url) is not None for url in urls] == [False, False, True]
