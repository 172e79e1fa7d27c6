"""The server of the page: what it answers, to whom, and when it makes the page anew."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from reports.page.paged import write_sweep
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.reports.page import serve
from rnnbench.reports.page.serve import Page, server, state
from rnnbench.reports.page.source import open_source
from rnnbench.reports.selection.select import check
from rnnbench.store.folder import Results
from rnnbench.store.store import Store


class Made:
    """A page that counts how often it is made."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.problem: str = ""
        self.more: str = ""

    def __call__(self, now: str) -> str:
        if self.problem:
            raise BadInput(self.problem)
        self.states.append(now)
        return f"<p>{len(self.states)}{self.more}"


@pytest.fixture
def store(tmp_path):
    return fill_store(Store(tmp_path / "runs"), make_records(("rnn",), range(2)))


@pytest.fixture
def served(tmp_path, store):
    """(make, get): what makes the page, and get(path, **headers) -> (code, headers, text)."""
    make = Made()
    made = make.server = server(Page(Results(tmp_path), make), "127.0.0.1", 0)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()

    def get(path: str, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", made.server_address[1], timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read().decode()
        finally:
            connection.close()

    yield make, get
    made.shutdown()
    made.server_close()
    thread.join()


def test_the_page_is_made_when_records_change_and_not_before(served, store):
    make, get = served
    assert get("/")[::2] == (200, "<p>1")
    assert get("/?again")[2] == "<p>1"
    before = json.loads(get("/state")[2])["state"]
    store.write(make_record("gru"))
    after = json.loads(get("/state")[2])["state"]
    assert get("/")[2] == "<p>2"
    assert make.states == [before, after]


def test_a_manifest_and_a_published_set_are_changes_too(tmp_path, store):
    states = [state(Results(tmp_path))]
    for name in ("sweeps/a.json", "published/a/records.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
        states.append(state(Results(tmp_path)))
    assert len(set(states)) == 3
    assert state(Results(tmp_path / "nothing")) == state(Results(tmp_path / "nowhere"))


def test_only_the_page_is_served_and_only_under_its_own_name(served):
    _, get = served
    assert get("/runs")[0] == 404
    assert get("/../record.json")[0] == 404
    assert get("/", Host="evil.example")[0] == 403
    assert get("/state", Host="evil.example:80")[0] == 403
    assert get("/", Host="localhost:8765")[0] == 200
    assert get("/", Host="[::1]:8765")[0] == 200
    headers = get("/")[1]
    assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_before_the_first_record_it_says_so_and_looks_again(served, store):
    make, get = served
    get("/")
    make.problem = "no finished runs in <b>x</b>."
    store.write(make_record("gru"))
    code, _, text = get("/")
    assert code == 200
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert 'http-equiv="refresh"' in text
    make.problem = ""
    assert get("/")[2] == "<p>2"


def test_nobody_waits_for_a_page_that_takes_long(tmp_path, store):
    go, made = threading.Event(), []

    def make(now: str) -> str:
        assert go.wait(20)
        made.append(now)
        return f"<p>{len(made)}"

    page = Page(Results(tmp_path), make, patience=0.05)
    server(page, "127.0.0.1", 0).server_close()
    assert page.making is not None, "it is begun before anybody asks"
    first = page.html()
    assert "being made" in first
    assert 'content="1"' in first
    go.set()
    page.making.result(20)
    assert page.html() == "<p>1"
    go.clear()
    store.write(make_record("gru"))
    assert (page.html(), page.state()) == ("<p>1", made[0]), "the one before, until there is another"
    making = page.making
    go.set()
    making.result(20)
    assert (page.html(), page.state()) == ("<p>2", state(Results(tmp_path)))


def test_an_address_that_cannot_be_had_is_one_sentence(tmp_path, store, capsys):
    made = server(Page(Results(tmp_path), Made()), "127.0.0.1", 0)
    port = str(made.server_address[1])
    for words in (["--port", port], ["--port", "99999"], ["--host", "256.0.0.1"]):
        assert main(["serve", *words, "--results", str(tmp_path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1, words
    made.server_close()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["nothing"], "no sweep, published set, folder with runs or run is called 'nothing'"),
     (["datset=digits"], "did you mean dataset"), (["seed=first"], "whole number"), (["since=monday"], "no day")],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_would_be_waited_for_in_vain_is_refused_at_once(tmp_path, store, capsys, words, said):
    assert main(["serve", *words, "--port", "0", "--results", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_sweep_without_a_finished_run_is_waited_for(tmp_path, store):
    records = make_records(("gru",), range(2))
    write_sweep(store, "new", records)
    page = Page(
        Results(tmp_path), lambda now: open_source(store, ["new", "dataset=digits"]).title, check(store, ["new"])
    )
    assert "no finished runs in new" in page.html()
    fill_store(store, records)
    assert page.html() == "new, dataset digits"


def test_a_change_in_a_folder_that_was_named_is_seen(tmp_path, store):
    other = fill_store(Store(tmp_path / "elsewhere" / "copies"), make_records(("gru",), range(1)))
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    (frozen / "records.jsonl").write_text("")
    places = check(store, [str(other.root), str(frozen), "dataset=digits"])
    states = [state(Results(tmp_path), places)]
    other.write(make_record("gru", seed=5))
    states.append(state(Results(tmp_path), places))
    (frozen / "records.jsonl").write_text("{}")
    states.append(state(Results(tmp_path), places))
    assert len(set(states)) == 3


@pytest.fixture
def crowd(served):
    """connect(sent) -> a socket that has sent so much to the server, and waits; all are closed at the end."""
    made, opened = served[0].server, []

    def connect(sent: bytes) -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", made.server_address[1]), timeout=20))
        opened[-1].sendall(sent)
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def test_half_open_connections_hold_few_threads_and_keep_nobody_out(served, crowd, monkeypatch):
    monkeypatch.setattr(serve, "MOST_OPEN", 20)
    before = threading.active_count()
    for _ in range(200):
        crowd(b"GET / HT")
    began = time.monotonic()
    assert served[1]("/")[0] == 200
    assert time.monotonic() - began < 2
    assert threading.active_count() - before < 40


def test_whoever_does_not_say_what_they_want_goes_however_they_drag_it_out(served, crowd, monkeypatch):
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 0.3)
    silent, dripping = crowd(b""), crowd(b"GET / HTTP/1.1\r\n")
    began, gone = time.monotonic(), False
    while not gone and time.monotonic() - began < 5:
        try:
            dripping.sendall(b"x")
            gone = select.select([dripping], [], [], 0.1)[0] != []
        except OSError:
            gone = True
    assert gone
    assert silent.recv(1) == b""
    assert time.monotonic() - began < 2


def test_a_hundred_readers_at_once_are_all_answered(served):
    with ThreadPoolExecutor(100) as pool:
        codes = list(pool.map(lambda _: served[1]("/")[0], range(100)))
    assert codes == [200] * 100
    assert served[0].server.request_queue_size >= 100, "with fewer some wait for seconds until they try again"


def test_a_slow_reader_holds_nobody_up_and_does_not_stay_for_ever(served, crowd, store, monkeypatch):
    make, get = served
    make.more = "x" * (32 << 20)
    monkeypatch.setattr(serve, "MOST_OPEN", 3)
    monkeypatch.setattr(serve, "SLOW_SECONDS", 0.2)
    for _ in range(3):
        crowd(b"GET / HTTP/1.0\r\n\r\n")
    began = time.monotonic()
    assert get("/state")[0] == 200
    assert time.monotonic() - began < 3
    monkeypatch.setattr(serve, "ANSWER_SECONDS", 0.3)
    late = crowd(b"GET / HTTP/1.0\r\n\r\n")
    time.sleep(1.0)
    got = 0
    with contextlib.suppress(ConnectionResetError):
        while part := late.recv(1 << 20):
            got += len(part)
    assert got < 32 << 20
