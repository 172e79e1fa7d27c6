"""The process that talks to W&B, started by `WandbTracker` as a script. Needs nothing of rnnbench.

W&B lives in a process of its own because that is the only way to be rid of it at once. In the training process it
leaves a service process and an exit hook that waits for it (with a dead server: for minutes), a thread that does not
survive a fork of a data loader, a changed `sys.excepthook`, and an import that holds the interpreter for half a second.

One JSON list a line comes in on stdin: ``["start", {...}]``, ``["log", step, {...}]``, ``["finish", {...}]``. One JSON
object goes out after start and after finish, or at the first error: ``{}`` or ``{"error": "one line"}``. The end of
stdin without a finish means that the training process died: the W&B run is then finished as failed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def settings(wandb: Any, patience: float) -> Any:
    """W&B as light and as quiet as it goes. patience: seconds for its start, and again for its end."""
    wanted = {
        "silent": True,
        "console": "off",
        "save_code": False,
        "disable_code": True,
        "disable_git": True,
        "disable_job_creation": True,
        "init_timeout": patience,
        "finish_timeout": patience,
        "finish_timeout_raises": True,
        "stop_fn": lambda: None,  # the stop button of the web page does not end a run of this project
        "x_disable_stats": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,
        "x_transaction_log_flush_interval": 1.0,  # a killed run keeps all but its last second
    }
    known = wandb.Settings.model_fields  # the x_ ones may go with any release of W&B, and none is needed
    return wandb.Settings(**{key: value for key, value in wanted.items() if key in known})


def start(wandb: Any, message: dict[str, Any]) -> Any:
    return wandb.init(**message["init"], settings=settings(wandb, message["patience"]))


def finish(wandb: Any, run: Any, message: dict[str, Any]) -> None:
    """The record as a table of one row, or tables; the summary and the exit code; each given whatever fails before."""
    try:
        for name, table in message.get("tables", {}).items():
            run.log({name: wandb.Table(columns=table["columns"], data=table["data"], allow_mixed_types=True)})
        if row := message["row"]:
            run.log({"record": wandb.Table(columns=list(row), data=[list(row.values())], allow_mixed_types=True)})
    finally:
        try:  # after the table: a point that was still open would put its own value back
            run.summary.update(message["summary"])
        finally:
            run.finish(exit_code=message["exit_code"])


def serve(lines: Any, answer: Any) -> None:
    """Do what the lines say until their end; after a finish another run may start."""
    import wandb

    run: Any = None
    for line in lines:
        verb, *args = json.loads(line)
        if verb == "log":
            step, metrics = args
            run.log(metrics, step=step)
        elif verb == "start":
            run = start(wandb, args[0])
            answer({})
        else:
            finish(wandb, run, args[0])
            run = None
            answer({})
    if run is not None:
        run.finish(exit_code=1)


def main() -> int:
    """Keep stdin and stdout to ourselves (W&B's service inherits and its library prints), then serve."""
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)

    def answer(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers)

    try:
        serve(lines, answer)
    except BaseException as error:  # whatever it was, the other side must hear of it
        first = (str(error).strip().splitlines() or [""])[0]
        answer({"error": f"{type(error).__name__}: {first}".removesuffix(": ")})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
