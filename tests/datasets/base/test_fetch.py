"""Fetching: cache folder, checksum, mirrors in turn over a real local server, and the sentences of failure."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnbench.datasets.base import fetch as fetch_module
from rnnbench.datasets.base.fetch import RemoteFile, cache_folder, fetch
from rnnbench.errors import MissingData

CONTENT = b"frames of music"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGES = {"/good/a.bin": CONTENT, "/wrong/a.bin": b"an error page"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """The address of a local web server, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = PAGES.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def remote(*urls: str) -> RemoteFile:
    return RemoteFile("music", "a.bin", SHA256, urls)


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("RNNBENCH_DATA")
    assert cache_folder().name == "rnnbench"


def test_mirrors_are_tried_in_turn_and_the_file_is_kept(server, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    address, asked = server
    file = remote(f"{address}/absent/a.bin", f"{address}/wrong/a.bin", f"{address}/good/a.bin")
    path = fetch(file)
    assert path == cache / "music" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert asked == ["/absent/a.bin", "/wrong/a.bin", "/good/a.bin"]
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"], "no temporary file is left"
    assert fetch(file) == path
    assert len(asked) == 3
    assert capfd.readouterr() == ("", "")


def test_when_no_mirror_serves_the_sentence_names_path_reasons_and_command(server, cache: Path) -> None:
    address, _ = server
    file = remote(f"{address}/absent/a.bin", f"{address}/wrong/a.bin")
    with pytest.raises(MissingData) as caught:
        fetch(file)
    sentence = str(caught.value)
    assert sentence.startswith(f"{cache / 'music' / 'a.bin'} is missing")
    assert "HTTP 404" in sentence
    assert "wrong checksum" in sentence
    assert f"curl --create-dirs -fLo {cache / 'music' / 'a.bin'} {address}/absent/a.bin" in sentence
    assert not list((cache / "music").iterdir())


def test_a_file_that_is_there_needs_no_network(store, offline: None) -> None:
    file = store("music", "a.bin", CONTENT)
    assert fetch(file) == file.path


def test_a_corrupt_file_is_refused_and_not_replaced(store, offline: None) -> None:
    file = store("music", "a.bin", CONTENT)
    file.path.write_bytes(CONTENT[:-1])
    with pytest.raises(MissingData, match=r"a\.bin is corrupt \(sha256 .*\): delete the file and run again"):
        fetch(file)
    assert file.path.read_bytes() == CONTENT[:-1]


def test_a_file_is_read_in_full_once_until_it_changes(store, monkeypatch: pytest.MonkeyPatch) -> None:
    file = store("music", "a.bin", CONTENT)
    reads = []
    digest = hashlib.file_digest
    monkeypatch.setattr(fetch_module.hashlib, "file_digest", lambda *args: reads.append(1) or digest(*args))
    fetch(file)
    fetch(file)
    assert len(reads) == 1
    file.path.write_bytes(CONTENT + b" changed")
    with pytest.raises(MissingData):
        fetch(file)


def test_something_else_in_the_files_place(cache: Path, offline: None) -> None:
    (cache / "music" / "a.bin").mkdir(parents=True)
    with pytest.raises(MissingData, match="cannot be read"):
        fetch(remote("http://127.0.0.1/a.bin"))


def test_a_cache_folder_that_cannot_be_made(cache: Path, server) -> None:
    address, _ = server
    (cache / "music").write_text("a file where the folder should be")
    with pytest.raises(MissingData):
        fetch(remote(f"{address}/good/a.bin"))
