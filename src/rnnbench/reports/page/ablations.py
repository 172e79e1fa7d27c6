"""Ablations on a page: effects with intervals, gradient norms, gradients over time, saturation, verdicts in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.reports.ablation.measures import curves
from rnnbench.reports.ablation.study import Study, ablation
from rnnbench.reports.figures import middle
from rnnbench.reports.page.board import plain
from rnnbench.reports.page.source import Source, head_runs
from rnnbench.reports.tables.numbers import bold_parts, estimate, p_text
from rnnbench.store.rows import number, part

NORMS = ("median", "p99", "max")
STUDIES = 12  # of one ablation: the overview of `rnnbench ablation` is the place for more


def ablations(source: Source) -> dict[str, Any]:
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
        if len(result.studies) > STUDIES:
            remarks.append(
                f"{name}: the first {STUDIES} of {len(result.studies)} studies; all: rnnbench ablation {name}"
            )
        found.append({"name": name, "studies": [_study(study) for study in result.studies[:STUDIES]]})
    return {"found": found, "remarks": remarks}


def _study(study: Study) -> dict[str, Any]:
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


def _effects(study: Study) -> Iterator[dict[str, Any]]:
    """One row a comparison, as the forest plot and the table beside it show it."""
    ends = study.coverage.set_index("variant")
    for _, row in study.effects.iterrows():
        main = row["against"] == study.arms[0].name
        verdict = study.verdicts.effects.get(row["variant"]) if main else None
        gradient = study.verdicts.gradients.get(row["variant"]) if main else None
        yield {
            "variant": row["variant"] if main else f"{row['variant']} against {row['against']}", "main": bool(main),
            **{key: plain(row[key]) for key in ("n", "mean", "difference", "low", "high")},
            "text": estimate(row["difference"], row["low"], row["high"]), "p": p_text(row["p_holm"]),
            "verdict": verdict.word if verdict else "", "why": verdict.why if verdict else "",
            "gradient": gradient.word if gradient else "", "gradient_why": gradient.why if gradient else "",
            "diverged": plain(ends.loc[row["variant"], "diverged"]) if main else None,
        }  # fmt: skip


def _norms(study: Study) -> Iterator[dict[str, Any]]:
    """A mark for each run and each of three norms over training."""
    for arm, run in _runs(study):
        norm = part(study.details[run], "grad_norm")
        for key in NORMS:
            if (value := number(norm.get(key))) > 0:
                yield {"variant": arm, "norm": key, "value": plain(value, 5)}


def _over_time(study: Study) -> Iterator[dict[str, Any]]:
    """The loss' gradient with respect to h_t: median over seeds by layer, variant and t."""
    found: dict[tuple[str, str], list[Sequence[float]]] = {}
    for arm, run in _runs(study):
        for layer, curve in curves(study.details[run], "h_grad_norm"):
            found.setdefault((layer, arm), []).append(curve)
    for (layer, arm), rows in found.items():
        yield {"layer": layer, "variant": arm, "values": [plain(v, 4) if v > 0 else None for v in middle(rows)[0]]}


def _saturation(study: Study) -> Iterator[dict[str, Any]]:
    """The share of a gate's values below .01 and above .99: mean over layers and runs."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for arm, run in _runs(study):
        for gates in part(study.details[run], "saturation").values():
            for gate in gates if isinstance(gates, Mapping) else ():
                ends = (number(part(gates, gate).get("low")), number(part(gates, gate).get("high")))
                if all(end == end for end in ends):
                    found.setdefault((arm, str(gate)), []).append(ends)
    for (arm, gate), pairs in found.items():
        low, high = (sum(pair[end] for pair in pairs) / len(pairs) for end in (0, 1))
        yield {"variant": arm, "gate": gate, "low": plain(low, 4), "high": plain(high, 4)}


def _runs(study: Study) -> Iterator[tuple[str, str]]:
    for arm in study.arms:
        for run in arm.runs["id"]:
            yield arm.name, str(run)
