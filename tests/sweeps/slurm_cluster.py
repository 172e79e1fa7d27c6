"""A real SLURM of this machine alone, unpacked and started below a test's folder, and ended with everything in it."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sweeping import LAB, until

SCRIPTS = Path(__file__).parent / "slurm"


class Slurm:
    """A running SLURM with one node of one CPU: of two jobs one waits. `environment` has its commands on the PATH."""

    def __init__(self, folder: Path) -> None:
        """Start it; skips the test with a sentence where it cannot be had."""
        if platform.system() != "Linux" or os.geteuid() != 0:
            pytest.skip("a SLURM of one's own needs Linux and root")
        if not (shutil.which("slurmctld") or (shutil.which("apt-get") and shutil.which("dpkg"))):
            pytest.skip("no slurmctld on the PATH, and no apt-get to unpack one with")
        self.folder, self.port, self.sweeps = folder, free_port(), []
        done = subprocess.run(
            ["bash", str(SCRIPTS / "start.sh"), str(folder), str(self.port)], capture_output=True, text=True
        )
        if done.returncode == 3:
            pytest.skip("apt-get cannot download SLURM's packages (no network, or no `apt-get update` yet)")
        self.environment = self._environment()
        if done.returncode:
            self.close()
            pytest.skip(f"SLURM does not come up here: {done.stderr.strip()}")

    def _environment(self) -> dict[str, str]:
        said = subprocess.run(
            ["bash", "-c", f". {self.folder}/env; env -0"], capture_output=True, text=True, check=True
        )
        return dict(pair.split("=", 1) for pair in said.stdout.split("\0") if "=" in pair)

    def call(self, *command: str) -> str:
        """What a command of SLURM's prints."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()

    def jobs(self, state: str = "all") -> list[str]:
        """Ids of the jobs in a state, oldest first."""
        return self.call("squeue", "-h", f"--states={state}", "--sort=i", "--format=%i").split()

    def queue(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        return self.call("squeue", "-h", "--sort=i", "--format=%i").split()

    def sweep(self, *words: str, results: Path, nap: float = 0.0) -> subprocess.Popen[str]:
        """`rnnbench sweep WORDS` under this SLURM, warnings being errors in it and in its jobs."""
        command = [
            sys.executable,
            "-m",
            "rnnbench",
            "sweep",
            *words,
            "--executor",
            "slurm",
            "--executor-option",
            "mem=1",
        ]
        process = subprocess.Popen(
            [*command, "--results", str(results), "--config-dir", str(LAB)], cwd=results.parent,
            env=self.environment | {"LAB_NAP": str(nap)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.sweeps.append(process)
        return process

    def processes(self) -> list[psutil.Process]:
        """All that belongs to this SLURM, daemons and jobs alike: they know it by its configuration."""
        mine = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get("SLURM_CONF") == str(self.folder / "slurm.conf"):
                    mine.append(process)
        return mine

    def fail_node(self) -> None:
        """The node goes at once with all that runs on it; SLURM's controller stays."""
        daemons = {int(line.split()[1]) for line in self.pids() if not line.startswith("slurmd ")}
        sweeps = {process.pid for process in self.sweeps}
        for process in self.processes():
            if process.pid not in daemons | sweeps:
                with suppress(psutil.Error):
                    process.kill()

    def repair_node(self) -> None:
        """A new slurmd, as after a restart of the machine."""
        self.stop()
        subprocess.run(["bash", str(SCRIPTS / "start.sh"), str(self.folder), str(self.port)], check=True)

    def pids(self) -> list[str]:
        return (self.folder / "pids").read_text().splitlines()

    def stop(self) -> None:
        subprocess.run(["bash", str(SCRIPTS / "stop.sh"), str(self.folder)], check=True)

    def end_sweeps(self) -> None:
        """No sweep and no job is left, whatever a test has left."""
        for process in self.sweeps:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        self.sweeps.clear()
        for job in self.queue():
            for command in (("scancel", "--full", "--signal=KILL"), ("scancel",)):
                with suppress(subprocess.CalledProcessError):  # it has just ended
                    self.call(*command, job)
        until(lambda: not self.queue(), 30)

    def close(self) -> None:
        """End what is left, and see to it that nothing is."""
        with suppress(AssertionError, subprocess.SubprocessError):  # what is left is killed below
            self.end_sweeps()
        self.stop()
        left = self.processes()
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)


def free_port() -> int:
    """The first of two ports on loopback that nobody listens at."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port
