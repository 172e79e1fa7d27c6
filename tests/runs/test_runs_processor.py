"""bf16 by processor: where torch's LSTM kernel has none, and where it is emulated, is said before a sweep."""

import json
import subprocess
import sys

import pytest
import torch

from rnnbench.bench import frames
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.runs import processor
from rnnbench.runs.plan import prepare

AVX512 = {"avx2", "avx512f", "avx512bw", "avx512vl", "avx512dq"}
BF16 = ["precision=bf16", "device=cpu", "tracker=none"]
KINDS = {  # flags -> whether torch's LSTM kernel takes bf16, whether bf16 is multiplied
    "old x86": ({"sse4_2", "avx2", "fma"}, False, False),
    "half of it": ({"avx512bw", "avx512vl"}, False, False),
    "Skylake": (AVX512, True, False),
    "Cooper Lake": ({*AVX512, "avx512_bf16"}, True, True),
    "Sapphire Rapids": ({*AVX512, "avx512_bf16", "amx_bf16"}, True, True),
    "ARM": ({"asimd", "fp"}, False, False),
    "newer ARM": ({"asimd", "bf16"}, True, True),
}


@pytest.fixture
def on(monkeypatch):
    """on(flags): as on a processor with these flags, or None for a system that does not say."""

    def put(flags):
        monkeypatch.setattr(processor, "flags", lambda: None if flags is None else frozenset(flags))

    return put


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_processor_can_do(kind, on):
    flags, takes, multiplies = KINDS[kind]
    on(flags)
    assert processor.lstm_kernel_takes_bf16() is takes
    assert processor.multiplies_bf16() is multiplies
    assert prepare(["cell=lstm", *BF16]).config["backend"] == ("native" if takes else "eager")
    assert prepare(["cell=gru", *BF16]).config["backend"] == "native", "its kernel is none of oneDNN's"
    assert prepare(["cell=lstm", "device=cpu"]).config["backend"] == "native"
    assert prepare(["cell=lstm", *BF16, "device=cuda"]).config["backend"] == "native"


def test_the_kernel_that_is_not_there_is_refused_by_name(on):
    on(KINDS["old x86"][0])
    with pytest.raises(BadInput) as caught:
        prepare(["cell=lstm", "backend=native", *BF16])
    assert str(caught.value) == (
        "backend=native: torch's LSTM kernel has no bf16 on this processor; use backend=eager or backend=auto."
    )


def test_the_two_backends_are_two_ids_and_the_plan_says_so(on, tmp_path, capsys):
    on(KINDS["Sapphire Rapids"][0])
    native = prepare(["cell=lstm", *BF16]).id
    words = ["plan", "cell=lstm", *BF16, "--results", str(tmp_path)]
    assert main(words) == 0
    assert "note:" not in capsys.readouterr().err
    on(KINDS["old x86"][0])
    assert prepare(["cell=lstm", *BF16]).id != native
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "backend=auto is eager here" in said
    assert "takes 17 to 38 times as long as with float32" in said
    assert main([*words, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["notes"]) == 2


def test_nothing_is_said_where_nothing_asks_for_bf16(on):
    on(KINDS["old x86"][0])
    assert processor.notes([prepare(["device=cpu"]).config]) == []
    assert processor.notes([prepare([*BF16, "device=cuda"]).config]) == []


def test_what_is_not_known_is_called_so(on):
    on(None)
    assert processor.multiplies_bf16() is None
    (sentence,) = processor.notes([prepare(["cell=gru", *BF16]).config])
    assert "is not known" in sentence


def test_a_system_that_does_not_say_asks_torch(on, monkeypatch):
    here = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert processor.lstm_kernel_takes_bf16() is here, "the flags and torch agree on this machine"
    on(None)
    assert processor.lstm_kernel_takes_bf16() is here
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert processor.lstm_kernel_takes_bf16() is True


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\nflags : other\n", {"fpu", "avx2", "avx512_bf16"}),
        ("processor : 0\nFeatures\t: fp asimd bf16\n", {"fp", "asimd", "bf16"}),
        ("nothing of the kind\n", None),
        (None, None),
    ],
)
def test_the_flags_are_those_of_linux(text, found, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(processor, "CPUINFO", path)
    processor.flags.cache_clear()
    try:
        assert processor.flags() == found
    finally:
        processor.flags.cache_clear()


def test_the_bench_leaves_out_what_would_be_emulated(on, monkeypatch):
    on(KINDS["Skylake"][0])
    monkeypatch.setattr(frames, "interleaved", lambda *_: pytest.fail("measured"))
    result = frames.bf16(rounds=3)
    assert (list(result.rows), list(result.missed)) == ([], [])
    assert "left out" in result.title
    assert "17 to 38 times as long" in result.title


@pytest.mark.integration
def test_planning_bf16_imports_no_torch():
    code = (
        "import sys; from rnnbench.sweeps.plan import plan; plan(sys.argv[1:]).notes(); print('torch' in sys.modules)"
    )
    words = ["cell=lstm,gru", "hidden_size=8,16", *BF16]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
