"""Who finds compiler, flags and processor, and the libraries that were compiled: none but the user's own is loaded."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import platformdirs
import pytest

from rnnbench import toolchain
from rnnbench.errors import BadInput
from rnnbench.toolchain import CompilerFailed, Toolchain

SOURCE = "float twice(float x) { return x + x; }\n"
HERE = toolchain.find()  # as the shell that runs the tests has it
needs_compiler = pytest.mark.skipif(HERE is None, reason="no C compiler")

GCC = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n"
SAYS = {
    "gcc 12.2.0": GCC,
    "gcc 11.4.0": "cc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0\nCopyright (C) 2021 Free Software Foundation, Inc.\n",
    "gcc 14.2.1": "gcc (GCC) 14.2.1 20240801 (Red Hat 14.2.1-1)\nCopyright (C) 2024 Free Software Foundation, Inc.\n",
    "gcc 13.3.0": "x86_64-conda-linux-gnu-cc (conda-forge gcc 13.3.0-1) 13.3.0\nFree Software Foundation, Inc.\n",
    "clang 14.0.0": "Ubuntu clang version 14.0.0-1ubuntu1.1\nTarget: x86_64-pc-linux-gnu\n",
    "clang 18.1.8": "clang version 18.1.8 (Fedora 18.1.8-1.fc40)\nTarget: x86_64-redhat-linux-gnu\n",
    "Apple clang 15.0.0": "Apple clang version 15.0.0 (clang-1500.3.9.4)\nTarget: arm64-apple-darwin23.6.0\n",
    "": "Intel(R) oneAPI DPC++/C++ Compiler 2024.1.0 (2024.1.0.20240308)\n",
}


@pytest.fixture(autouse=True)
def forgetful():
    """What a process keeps is not kept from test to test."""
    kept = (toolchain._find, toolchain._warn_once)
    for function in kept:
        function.cache_clear()
    yield
    for function in kept:
        function.cache_clear()
    toolchain.remove_private_folder()


@pytest.fixture(autouse=True, scope="session")
def runtime_of_zig(tmp_path_factory):
    """zig compiles its own runtime once for all tests, where it is the compiler."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "zig"))
        yield


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache's folder, in an empty user's cache; not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rnnbench" / "compiled"


@pytest.fixture
def path(tmp_path, cache, monkeypatch):
    """A folder that alone is on the PATH; nor is there ziglang."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("RNNBENCH_CC", raising=False)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    return folder


def program(path: Path, script: str) -> Path:
    """A command: a shell script, whose own PATH is the usual one."""
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(0o755)
    return path


def counting(folder: Path, name: str = "cc") -> Path:
    """The real compiler as a command that writes a line to `calls` for each compilation."""
    assert HERE is not None
    if HERE.compiler.startswith("zig "):
        pytest.skip("under another name than its own zig is taken for clang, and refuses clang's flags")
    real = " ".join(HERE.command)
    return program(
        folder / name, f'case "$*" in *-shared*) echo built >> {folder}/calls;; esac\nexec {real} "$@"'
    )  # fmt: skip


def calls(folder: Path) -> int:
    file = folder / "calls"
    return len(file.read_text().splitlines()) if file.exists() else 0


def twice(library: Path) -> float:
    function = ctypes.CDLL(str(library)).twice
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return float(function(21.0))


def found() -> Toolchain:
    there = toolchain.find()
    assert there is not None, toolchain.why_none()
    return there


# Which compiler.


@pytest.mark.parametrize("name", SAYS)
def test_name_and_version_of_a_compiler(name):
    assert toolchain._named_version(SAYS[name]) == name


@needs_compiler
def test_the_compiler_of_this_machine():
    there = found()
    assert os.path.isabs(there.command[0])
    assert there.compiler.split()[-1][0].isdigit()
    assert there.processor == toolchain.processor_kind()
    assert toolchain.why_none() == toolchain.advice() == ""


def test_an_empty_path_has_none(path):
    assert toolchain.find() is None
    assert toolchain.why_none() == 'no C compiler was found (cc, gcc, clang, or pip install "rnnbench[compiler]")'
    assert toolchain.advice().startswith(
        'no C compiler was found (cc, gcc, clang, or pip install "rnnbench[compiler]"):'
    )


@needs_compiler
def test_what_is_there_but_fails_counts_as_none_and_the_next_is_taken(path):
    program(path / "cc", "echo 'xcode-select: note: no developer tools were found' >&2; exit 1")
    assert toolchain.find() is None
    assert toolchain.why_none() == (
        f"no C compiler works here ({path}/cc: exit status 1: xcode-select: note: no developer tools were found; "
        'or pip install "rnnbench[compiler]")'
    )
    counting(path, "gcc")
    toolchain._find.cache_clear()
    assert found().command == (f"{path}/gcc",)


@needs_compiler
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'cc1: fatal error: math.h: No such file or directory' >&2; exit 1", "exit status 1: cc1: fatal error"),
        ("exit 0", "ended well, but left no library"),
        ("echo text > kernel.so", "what it makes cannot be loaded"),
        ("kill -9 $$", "killed by signal 9: it said nothing"),
    ],
)
def test_one_that_says_its_version_must_make_a_library_that_loads(path, script, reason):
    program(path / "cc", f'case "$*" in *--version) printf "{GCC}"; exit 0;; esac\n{script}')
    assert toolchain.find() is None
    assert reason in toolchain.why_none()


def test_what_is_no_program_is_said(path):
    (path / "cc").write_bytes(b"\x7fELF of another machine")
    (path / "cc").chmod(0o755)
    assert toolchain.find() is None
    assert f"{path}/cc: it cannot be run (Exec format error)" in toolchain.why_none()


def test_one_that_hangs_is_ended_with_what_it_started(path, tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "VERSION_SECONDS", 0.5)
    program(path / "cc", f"sleep 100 & echo $! > {tmp_path}/child; wait")
    assert toolchain.find() is None
    assert "did not end within 0.5 s" in toolchain.why_none()
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Whether a process is there and no mere entry that its new parent has not read yet."""
    done = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in ("", "Z")


@needs_compiler
def test_the_variable_names_another_command_with_its_arguments(path, tmp_path, monkeypatch):
    counting(path, "gcc")
    mine = counting(tmp_path, "my compiler")
    monkeypatch.setenv("RNNBENCH_CC", f"'{mine}' -DMINE=1")
    assert found().command == (str(mine), "-DMINE=1")
    assert twice(toolchain.build("float twice(float x) { return 2 * MINE * x; }", found())) == 42


@needs_compiler
def test_what_is_compiled_with_other_arguments_is_another_library(cache):
    plain = toolchain.build(SOURCE, HERE)
    other = dataclasses.replace(HERE, command=(*HERE.command, "-DMINE=1"))
    assert toolchain.build(SOURCE, other) != plain
    assert toolchain.build(SOURCE, HERE) == plain


@pytest.mark.parametrize("named", ["", "  "])
def test_the_empty_variable_means_none_and_asks_for_no_advice(monkeypatch, named):
    monkeypatch.setenv("RNNBENCH_CC", named)
    assert toolchain.find() is None
    assert toolchain.why_none() == "RNNBENCH_CC is empty, so no C compiler is used"


def test_no_advice_to_whoever_wants_none(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    assert toolchain.advice() == ""


@pytest.mark.parametrize("named", ["no-such-compiler-here", "'a quote without end", "/dev/null"])
def test_a_variable_that_names_nothing_is_said_and_no_other_is_taken(path, monkeypatch, named):
    monkeypatch.setenv("RNNBENCH_CC", named)
    assert toolchain.find() is None
    assert toolchain.why_none() == f"RNNBENCH_CC={named} is no C compiler that works"


def test_a_command_is_never_read_by_a_shell(path, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", f"sh; touch {tmp_path}/made")
    assert toolchain.find() is None
    assert not (tmp_path / "made").exists()


def test_zig_comes_last_says_its_own_version_and_never_means_this_machine(path, tmp_path, monkeypatch):
    package = tmp_path / "ziglang"
    package.mkdir()
    program(package / "zig", '[ "$1" = version ] && echo 0.17.1 && exit 0\necho "clang version 22.1.8"')
    spec = type("Spec", (), {"submodule_search_locations": [str(package)]})
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: spec if name == "ziglang" else None)
    monkeypatch.setattr(toolchain, "_probe", lambda toolchain: None)
    there = found()
    assert (there.command, there.compiler) == ((f"{package}/zig", "cc"), "zig 0.17.1")
    assert "-mcpu=baseline" in there.flags
    assert toolchain._is_zig((sys.executable, "-m", "ziglang", "cc"))
    assert not toolchain._is_zig(("/usr/bin/cc",))


@pytest.mark.parametrize("cached", [True, False])
def test_zig_keeps_its_runtime_where_this_user_alone_writes(path, cache, tmp_path, monkeypatch, cached):
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR")
    monkeypatch.setattr(toolchain.tempfile, "tempdir", str(tmp_path))
    if not cached:
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    (path / "zig").mkdir()
    said = tmp_path / "said"
    zig = program(path / "zig" / "zig", f'[ "$1" = version ] && echo 0.17.1 || echo $ZIG_GLOBAL_CACHE_DIR > {said}')
    monkeypatch.setenv("RNNBENCH_CC", f"{zig} cc")
    assert toolchain.find() is None  # it left no library
    place = Path(said.read_text().strip())
    assert place.parent == cache if cached else place.parent.name.startswith("rnnbench-")
    assert list(tmp_path.glob("rnnbench-*")) == []


@needs_compiler
def test_that_a_compiler_works_is_found_out_once(path, cache):
    counting(path)
    found()
    assert calls(path) == 1
    toolchain._find.cache_clear()  # another process
    found()
    assert calls(path) == 1
    (path / "cc").write_text((path / "cc").read_text() + "# changed\n")
    toolchain._find.cache_clear()
    found()
    assert calls(path) == 2
    assert [each.name for each in cache.iterdir() if each.name.startswith(toolchain.NEW)] == []


# Which processor, and which flags.

AVX2 = "fpu sse2 avx avx2 fma f16c"
AVX512 = AVX2 + " avx512f avx512vl avx512bw avx512dq"


@pytest.mark.parametrize(
    ("machine", "flags", "kind"),
    [
        ("x86_64", AVX512, "x86-64 avx512"),
        ("AMD64", AVX512, "x86-64 avx512"),
        ("x86_64", AVX512.replace(" avx512vl", ""), "x86-64 avx2"),
        ("x86_64", AVX2, "x86-64 avx2"),
        ("x86_64", AVX2.replace(" fma", ""), "x86-64"),
        ("x86_64", "fpu sse2", "x86-64"),
        ("aarch64", "fp asimd", "aarch64"),
        ("arm64", "", "arm64"),
        ("riscv64", "", "riscv64"),
    ],
)
def test_the_kind_of_a_processor(monkeypatch, tmp_path, machine, flags, kind):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: avx512f\n")
    monkeypatch.setattr(toolchain, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(toolchain.platform, "machine", lambda: machine)
    assert toolchain.processor_kind.__wrapped__() == kind


def test_a_system_that_does_not_say_gets_what_every_processor_can(monkeypatch, tmp_path):
    monkeypatch.setattr(toolchain, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(toolchain.platform, "machine", lambda: "x86_64")
    assert toolchain.processor_kind.__wrapped__() == "x86-64"


def test_on_macos_sysctl_says_it(monkeypatch):
    said = "hw.optional.avx1_0: 1\nhw.optional.avx2_0: 1\nhw.optional.fma: 1\nhw.optional.avx512f: 0\n"
    monkeypatch.setattr(toolchain.sys, "platform", "darwin")
    monkeypatch.setattr(toolchain, "_call", lambda command, seconds: said)
    assert toolchain.features() == {"avx1", "avx2", "fma"}


@pytest.mark.parametrize("compiler", ["gcc 12.2.0", "clang 16.0.0", "Apple clang 15.0.0", "zig 0.17.1"])
@pytest.mark.parametrize("processor", [*toolchain.X86, "aarch64", "arm64"])
def test_no_flag_means_this_machine_or_lets_nan_vanish(compiler, processor):
    flags = toolchain.flags_for(compiler, processor)
    assert flags[:1] == ("-O3",)
    assert "-ffp-contract=fast" in flags
    text = " ".join(flags)
    for never in ("native", "fast-math", "Ofast", "finite-math", "unsafe-math", "associative", "daz", "ftz"):
        assert never not in text
    assert [f"-m{each}" in flags for each in toolchain.AVX2] == [processor in list(toolchain.X86)[1:]] * 2
    assert ("-mavx512f" in flags) == (processor == "x86-64 avx512")


def test_code_for_a_lesser_processor_is_asked_for_by_its_kind():
    here = Toolchain(("/usr/bin/cc",), "gcc 12.2.0", toolchain.flags_for("gcc 12.2.0", "x86-64 avx2"), "x86-64 avx2")
    base = here.at("x86-64")
    assert base.processor == "x86-64"
    assert "-mavx2" not in base.flags
    assert here.at("x86-64 avx2") == here
    with pytest.raises(ValueError, match="this processor is x86-64 avx2, which runs code for x86-64, x86-64 avx2 only"):
        here.at("x86-64 avx512")


@needs_compiler
def test_every_kind_of_this_processor_compiles_and_says_so_itself(cache):
    for kind in toolchain.lesser_kinds(found().processor):
        library = toolchain.build(LEVEL, found().at(kind))
        level = ctypes.CDLL(str(library)).level
        level.restype = ctypes.c_char_p
        assert level().decode() == (kind if kind in toolchain.X86 else "other")


LEVEL = """
const char *level(void) {
#if defined __AVX512F__ && defined __AVX512VL__ && defined __AVX512BW__ && defined __AVX512DQ__
  return "x86-64 avx512";
#elif defined __AVX2__ && defined __FMA__
  return "x86-64 avx2";
#elif defined __x86_64__
  return "x86-64";
#else
  return "other";
#endif
}
"""


# The cache.


def test_the_cache_lies_where_the_users_caches_lie(monkeypatch, tmp_path):
    for named in (str(tmp_path), "", "relative/is/ignored", None):
        if named is None:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", named)
        assert toolchain.cache_folder() == platformdirs.user_cache_path("rnnbench") / "compiled"


def test_the_cache_of_macos(monkeypatch, tmp_path):
    from platformdirs.macos import MacOS

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(toolchain.sys, "platform", "darwin")
    assert toolchain.cache_folder() == MacOS("rnnbench").user_cache_path / "compiled"


@needs_compiler
def test_a_source_is_compiled_once_and_lies_beside_its_library(path, cache):
    counting(path)
    there = found()
    before = calls(path)
    library = toolchain.build(SOURCE, there)
    assert twice(library) == 42
    assert toolchain.build(SOURCE, there) == library
    assert calls(path) == before + 1
    assert (library.parent / "kernel.c").read_text() == SOURCE
    assert library.parent.parent == cache


@needs_compiler
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_whatever_the_umask_nobody_else_can_write(cache, umask):
    before = os.umask(umask)
    try:
        library = toolchain.build(SOURCE, found())
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    for each in (cache.parent, library.parent, *library.parent.iterdir()):
        assert not each.stat().st_mode & 0o022, each
    assert twice(toolchain.build(SOURCE, found())) == 42


@needs_compiler
def test_another_source_flag_version_or_processor_is_another_library(cache):
    there = found()
    others = [
        Toolchain(there.command, there.compiler, (*there.flags, "-DA"), there.processor),
        Toolchain(there.command, "gcc 1.0", there.flags, there.processor),
        Toolchain(there.command, there.compiler, there.flags, "another"),
    ]
    libraries = {toolchain.build(SOURCE, each) for each in [there, *others]} | {toolchain.build(SOURCE + "\n", there)}
    assert len(libraries) == 5


@needs_compiler
def test_what_does_not_compile_is_said_with_the_compilers_words_and_leaves_nothing(cache):
    with pytest.raises(CompilerFailed, match=r"exit status 1: .*kernel\.c.*error"):
        toolchain.build("this is no C", found())
    assert list(cache.glob("*/kernel.c")) == []
    assert list(cache.glob(toolchain.NEW + "*")) == []


def test_a_compiler_that_hangs_is_ended(path, cache, monkeypatch):
    monkeypatch.setattr(toolchain, "BUILD_SECONDS", 0.5)
    slow = Toolchain((str(program(path / "cc", "sleep 100")),), "gcc 1.0", (), "x86-64")
    started = time.monotonic()
    with pytest.raises(CompilerFailed, match=r"it did not end within 0\.5 s"):
        toolchain.build(SOURCE, slow)
    assert time.monotonic() - started < 30
    assert list(cache.iterdir()) == []


@needs_compiler
@pytest.mark.parametrize(
    "harm", ["truncated", "changed", "no sum", "link", "writable", "no library", "a file", "foreign"]
)
def test_what_is_not_whole_and_ours_is_never_loaded_but_compiled_anew(path, cache, tmp_path, harm):
    counting(path)
    there = found()
    library = toolchain.build(SOURCE, there)
    before = calls(path)
    _harm(library, tmp_path, harm)
    assert toolchain.build(SOURCE, there) == library
    assert calls(path) == before + 1
    assert twice(library) == 42
    assert not library.is_symlink()
    assert stat.S_IMODE(library.stat().st_mode) == 0o700
    toolchain.build(SOURCE, there)
    assert calls(path) == before + 1
    assert list(cache.glob(toolchain.NEW + "*")) == []


def _harm(library: Path, tmp_path: Path, harm: str) -> None:
    if harm == "truncated":
        os.truncate(library, 100)
    elif harm == "changed":
        library.write_bytes(library.read_bytes() + b"x")
    elif harm == "no sum":
        (library.parent / "sha256").unlink()
    elif harm == "link":
        elsewhere = shutil.move(library, tmp_path / "elsewhere.so")
        library.symlink_to(elsewhere)
    elif harm == "writable":
        library.chmod(0o777)
    elif harm == "no library":
        library.unlink()
    elif harm == "a file":
        shutil.rmtree(library.parent)
        library.parent.write_text("no folder")
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(library, 12345, 12345)


@needs_compiler
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_cache_that_others_can_write_to_is_refused_with_the_remedy(cache, mode):
    there = found()
    toolchain.build(SOURCE, there)
    cache.chmod(mode)
    with pytest.raises(BadInput, match=rf"^others can write to {cache}, .*: chmod 700 {cache}$"):
        toolchain.build(SOURCE, there)
    cache.chmod(0o700)
    toolchain.build(SOURCE, there)


@needs_compiler
def test_a_cache_that_is_a_link_a_file_or_lies_where_everybody_writes_is_refused(cache, tmp_path):
    there = found()
    shutil.rmtree(cache)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="is no folder"):
        toolchain.build(SOURCE, there)
    cache.unlink()
    cache.write_text("a file")
    with pytest.raises(BadInput, match="is no folder"):
        toolchain.build(SOURCE, there)
    cache.unlink()
    cache.parent.chmod(0o777)
    with pytest.raises(BadInput, match=f"everybody can write to {cache.parent}"):
        toolchain.build(SOURCE, there)
    cache.parent.chmod(0o1777)  # there nobody can put another folder in its place
    toolchain.build(SOURCE, there)


@needs_compiler
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_cache_of_another_user_is_refused(cache):
    there = found()
    os.chown(cache, 12345, 12345)
    with pytest.raises(BadInput, match="belongs to another user"):
        toolchain.build(SOURCE, there)


@needs_compiler
def test_a_compiler_is_found_beside_a_cache_that_is_refused(path, cache):
    counting(path)
    _make_writable(cache)
    found()
    toolchain._find.cache_clear()
    found()
    assert calls(path) == 2  # nothing was believed of what lies there
    assert list(cache.iterdir()) == []


def _make_writable(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)


@needs_compiler
@pytest.mark.parametrize("why", ["it cannot be made", "it cannot be written to"])
def test_without_a_cache_a_process_compiles_for_itself_and_leaves_nothing(cache, tmp_path, monkeypatch, capsys, why):
    there = found()
    if why == "it cannot be made":
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    else:
        _refuse_to_write(monkeypatch, cache)
    library = toolchain.build(SOURCE, there)
    assert twice(library) == 42
    assert cache not in library.parents
    assert stat.S_IMODE(library.parents[1].stat().st_mode) == 0o700
    assert toolchain.build(SOURCE, there) == library
    toolchain.build(SOURCE + "\n", there)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("cells are compiled anew for each process.")
    toolchain.remove_private_folder()
    assert not library.parents[1].exists()


def _refuse_to_write(monkeypatch, cache: Path) -> None:
    """A disk that is mounted to be read only; as the tests may run as root, whom no mode stops."""
    make = toolchain.tempfile.mkdtemp

    def mkdtemp(prefix: str, dir: Path | None = None) -> str:
        if dir == cache:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))
        return str(make(prefix=prefix, dir=dir))

    monkeypatch.setattr(toolchain.tempfile, "mkdtemp", mkdtemp)


@needs_compiler
def test_a_cache_that_can_only_be_read_is_read(cache, monkeypatch, capsys):
    library = toolchain.build(SOURCE, found())
    _refuse_to_write(monkeypatch, cache)
    assert toolchain.build(SOURCE, found()) == library
    assert capsys.readouterr().err == ""


def in_processes(count: int, code: str) -> list[str]:
    """What `count` processes print that were started together."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    said = [each.communicate(timeout=120)[0].strip() for each in started]
    assert [each.returncode for each in started] == [0] * count
    return said


@pytest.mark.integration
@needs_compiler
def test_two_processes_at_once_get_one_good_library(cache, tmp_path):
    """Each waits for the other before it compiles, so both do."""
    said = in_processes(
        2,
        f"""
        import ctypes, os, time
        from pathlib import Path
        from rnnbench import toolchain
        there, put = toolchain.find(), toolchain._put
        def both(made, place):
            Path({str(tmp_path)!r}, f"ready-{{os.getpid()}}").touch()
            while len(list(Path({str(tmp_path)!r}).glob("ready-*"))) < 2:
                time.sleep(0.001)
            put(made, place)
        toolchain._put = both
        library = toolchain.build({SOURCE!r}, there)
        function = ctypes.CDLL(str(library)).twice
        function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
        print(library, function(21.0))
        """,
    )
    assert said[0] == said[1]
    library, value = said[0].split()
    assert float(value) == 42
    assert sorted(each.name for each in Path(library).parent.iterdir()) == ["kernel.c", "kernel.so", "sha256"]
    assert len(list(cache.glob("*/kernel.so"))) == 1
    assert list(cache.glob(toolchain.NEW + "*")) == []


@pytest.mark.integration
@needs_compiler
def test_a_process_without_a_cache_removes_its_folder_at_its_end(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (said,) = in_processes(
        1, f"from rnnbench import toolchain; print(toolchain.build({SOURCE!r}, toolchain.find()).exists())"
    )
    assert said == "True"
    assert list(tmp_path.glob("rnnbench*")) == []


@pytest.mark.integration
@needs_compiler
def test_a_sweeps_worker_which_ends_at_once_removes_its_folder_too(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (said,) = in_processes(
        1,
        f"""
        from types import SimpleNamespace
        from rnnbench import toolchain
        from rnnbench.sweeps import worker
        print(toolchain.build({SOURCE!r}, toolchain.find()).exists())
        worker._answer(SimpleNamespace(send=lambda answer: None), ("ok", ""))
        """,
    )
    assert said == "True"
    assert list(tmp_path.glob("rnnbench*")) == []
