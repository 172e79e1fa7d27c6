"""Ablations on a page: effects with intervals, gradient norms, gradients over time, saturation, verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rnnbench.errors import BadInput
from rnnbench.reports.ablation.answers import Verdict
from rnnbench.reports.ablation.measures import curves, saturated
from rnnbench.reports.ablation.study import Study, ablation
from rnnbench.reports.page.board import plain
from rnnbench.reports.page.source import Data, Source, head_runs
from rnnbench.reports.statistics.quartiles import quartiles
from rnnbench.reports.tables.markdown import bold_parts
from rnnbench.reports.tables.numbers import estimate, p_text
from rnnbench.store.rows import number, part

NORMS = ("median", "p99", "max")
STUDIES = 12  # of one ablation: the overview of `rnnbench ablation` is the place for more


def ablations(source: Source) -> Data:
    """found: the source's ablations with their studies; remarks: those that cannot be compared yet, and why."""
    found, remarks = [], []
    for name in sorted(source.heads):
        spec = source.heads[name].get("ablation")
        if not isinstance(spec, Mapping):
            continue
        records = source.records(head_runs(source, name))
        if not records:
            remarks.append(f"{name}: no run of this ablation is finished.")
            continue
        try:
            result = ablation(records, spec, name=name)
        except BadInput as error:
            remarks.append(f"{name}: {error}")
            continue
        total = len(result.studies)
        if total > STUDIES:
            remarks.append(f"{name}: the first {STUDIES} of {total} studies; all: rnnbench ablation {name}")
        found.append({"name": name, "studies": [_study(study) for study in result.studies[:STUDIES]]})
    return {"found": found, "remarks": remarks}


def _study(study: Study) -> Data:
    answers = [
        {"question": study.questions.get(key, key), "answer": [list(piece) for piece in bold_parts(text)]}
        for key, text in study.verdicts.answers.items()
    ]
    return {
        "title": study.title, "metric": study.metric, "goal": study.goal, "margin": plain(study.margin),
        "baseline": study.arms[0].name, "choice": study.verdicts.choice, "answers": answers,
        "notes": list(study.notes), "effects": list(_effects(study)), "norms": list(_norms(study)),
        "time": list(_over_time(study)), "saturation": list(_saturation(study)),
    }  # fmt: skip


def _effects(study: Study) -> Iterator[Data]:
    """One row a comparison, as the forest plot and the table beside it show it."""
    ends = study.coverage.set_index("variant")
    nothing = Verdict("", "")
    for _, row in study.effects.iterrows():
        name = row["variant"]
        is_main = row["against"] == study.arms[0].name
        verdict = study.verdicts.effects.get(name, nothing) if is_main else nothing
        gradient = study.verdicts.gradients.get(name, nothing) if is_main else nothing
        yield {
            "variant": name if is_main else f"{name} against {row['against']}",
            "main": bool(is_main),
            **{key: plain(row[key]) for key in ("n", "mean", "difference", "low", "high")},
            "text": estimate(row["difference"], row["low"], row["high"]),
            "p": p_text(row["p_holm"]),
            "verdict": verdict.word,
            "why": verdict.why,
            "gradient": gradient.word,
            "gradient_why": gradient.why,
            "diverged": plain(ends.loc[name, "diverged"]) if is_main else None,
        }


def _norms(study: Study) -> Iterator[Data]:
    """A mark for each run and each of three norms over training."""
    for arm, run in _runs(study):
        norm = part(study.details[run], "grad_norm")
        for key in NORMS:
            if (value := number(norm.get(key))) > 0:
                yield {"variant": arm, "norm": key, "value": plain(value, 5)}


def _over_time(study: Study) -> Iterator[Data]:
    """The loss' gradient with respect to h_t: median over seeds by layer, variant and t."""
    found: dict[tuple[str, str], list[Sequence[float]]] = {}
    for arm, run in _runs(study):
        for layer, curve in curves(study.details[run], "h_grad_norm"):
            found.setdefault((layer, arm), []).append(curve)
    for (layer, arm), rows in found.items():
        median, _, _ = quartiles(rows)
        values = [plain(value, 4) if value > 0 else None for value in median]
        yield {"layer": layer, "variant": arm, "values": values}


def _saturation(study: Study) -> Iterator[Data]:
    """The share of a gate's values below .01 and above .99: mean over layers and runs."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for arm, run in _runs(study):
        for gates in part(study.details[run], "saturation").values():
            for gate, ends in saturated(gates).items():
                if not any(map(math.isnan, ends)):
                    found.setdefault((arm, gate), []).append(ends)
    for (arm, gate), pairs in found.items():
        low, high = (sum(pair[end] for pair in pairs) / len(pairs) for end in (0, 1))
        yield {"variant": arm, "gate": gate, "low": plain(low, 4), "high": plain(high, 4)}


def _runs(study: Study) -> Iterator[tuple[str, str]]:
    for arm in study.arms:
        for run in arm.runs["id"]:
            yield arm.name, str(run)
