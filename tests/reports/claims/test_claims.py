"""Claims: the data file selects runs that its experiments make, and verdicts follow the rules on made-up records."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import pytest
import yaml

from reports.synthetic import fill_store, make_record, noise
from rnnbench.errors import BadInput
from rnnbench.reports.claims import judge as claims
from rnnbench.reports.claims import measures as claims_measures
from rnnbench.reports.claims.command import judge_all
from rnnbench.reports.claims.judge import DEPENDS, FAILS, FEWEST_LEVEL, FEWEST_TEST, HOLDS, OPEN, judge, verdict
from rnnbench.reports.claims.table import to_markdown, write_claims
from rnnbench.reports.claims.wording import asked, matches, read_claims
from rnnbench.runs import registry
from rnnbench.store.store import Store

CONF = Path(__file__).parents[3] / "conf"
CLAIMS = read_claims(yaml.safe_load((CONF / "claims.yaml").read_text()))


def claim(*checks, needs="all", **more):
    node = {"n": 1, "text": "GRU is better.", "source": "a tutorial", "experiments": ["made_up"], "checks": checks}
    return read_claims({"claims": [node | {"needs": needs} | more]})[0]


def better(**more):
    return {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "measure": "score", "above": 0.02} | more


def runs(seeds=8, spread=0.001, **quality):
    """One run a cell and seed, of accuracy by cell with a little noise."""
    return [
        make_record(cell, seed=seed, value=value + spread * noise(cell, seed))
        for cell, value in quality.items()
        for seed in range(seeds)
    ]


# the data file


def test_there_are_the_twenty_claims_and_every_experiment_of_theirs_is_there():
    assert [claim.n for claim in CLAIMS] == list(range(1, 21))
    names = {name for claim in CLAIMS for name in (*claim.experiments, *claim.also)}
    assert names <= set(registry.choices("experiment"))
    assert {n for n in registry.choices("experiment") if n.startswith("claims_")} <= names, "an experiment for nothing"


@pytest.mark.integration
def test_every_check_selects_runs_that_its_experiments_make():
    """Enough seeds on each side, and no two runs of one seed, which would be two settings."""
    from rnnbench.sweeps.plan import plan

    made = {
        name: [
            {"id": j.id, "seed": j.seed, "axes": j.axes, "config": j.config, "dataset": {"name": j.dataset}}
            for j in plan([f"experiment={name}"]).jobs
        ]
        for name in {name for each in CLAIMS for name in each.experiments}
    }
    for claim in CLAIMS:
        records = [record for name in claim.experiments for record in made[name]]
        for check in claim.checks:
            sides = [side for side in (check.first, check.second) if side is not None]
            for side in sides:
                seeds = [record["seed"] for record in records if matches(record, side)]
                assert len(seeds) == len(set(seeds)) >= FEWEST_LEVEL, f"claim {claim.n}: {check.words}: {side}"
                if check.measure == "score" and check.second is not None:
                    assert len(seeds) >= FEWEST_TEST, f"claim {claim.n}: {check.words}"


def test_what_is_wrong_with_a_claim_is_one_sentence():
    for node, sentence in [
        ({"measure": "beauty"}, "unknown measure"),
        ({"beyond": 3}, "unknown key 'beyond'"),
        ({"ratio": True}, "scores are compared as a difference, above a bound or within it"),
        ({"below": 3}, "one of above, below, within, equals"),
        ({"second": None, "entry": {}}, "a check has entry, or first and second"),
    ]:
        with pytest.raises(BadInput, match=sentence):
            claim({**better(), **node})
    with pytest.raises(BadInput, match="needs is all or any"):
        claim(better(), needs="some")
    with pytest.raises(BadInput, match="there is no claim 21; they go from 1 to 20"):
        asked(CLAIMS, [21])
    assert [each.n for each in asked(CLAIMS, [5, 2, 5])] == [2, 5]


def test_each_makes_a_check_for_every_combination():
    checks = claim(better(each={"dataset": ["digits", "adding"], "second.peephole": ["on"]})).checks
    assert [check.first for check in checks] == [{"cell": "gru", "dataset": name} for name in ("digits", "adding")]
    assert all(check.second == check.first | {"cell": "lstm", "peephole": "on"} for check in checks)
    assert checks[0].words == "gru - lstm, peephole=on, digits"


# answers


@pytest.mark.parametrize(
    ("lstm", "gru", "expected"), [(0.80, 0.90, "yes"), (0.90, 0.80, "no"), (0.90, 0.90, "no"), (0.80, 0.818, "open")]
)
def test_a_comparison_is_decided_by_interval_and_test(lstm, gru, expected):
    spread = 0.03 if expected == "open" else 0.001
    (finding,) = judge(claim(better()), runs(lstm=lstm, gru=gru, spread=spread), {}).findings
    assert finding.answer == expected
    assert finding.n == 8
    assert not finding.missing
    if expected != "open":
        assert finding.p == pytest.approx(2 / 256)
        assert finding.mean == pytest.approx((gru - lstm) / 0.9, abs=0.01)


def test_too_few_pairs_are_not_enough_whatever_they_say():
    judged = judge(claim(better()), runs(seeds=7, lstm=0.5, gru=0.9), {})
    assert judged.verdict == OPEN
    assert judged.findings[0].words == "7 of at least 8 pairs"
    assert judged.to_do == "runs are missing: rnnbench claims --run 1"
    level = claim({"entry": {"cell": "gru"}, "measure": "score", "above": 0.5})
    assert judge(level, runs(seeds=4, gru=0.9), {}).verdict == OPEN
    assert judge(level, runs(seeds=5, gru=0.9), {}).verdict == HOLDS
    assert judge(level, runs(seeds=5, gru=0.2), {}).verdict == FAILS
    assert judge(level, [], {}).findings[0].words == "0 of at least 5 runs"


def test_an_open_answer_with_enough_seeds_asks_for_more_of_them():
    judged = judge(claim(better()), runs(lstm=0.80, gru=0.818, spread=0.03), {})
    assert judged.to_do == "undecided with these seeds; more: rnnbench sweep experiment=made_up 'seed=range(16)'"


def test_holm_is_over_the_tests_of_the_claim():
    many = claim(*[better(above=0.001 * n) for n in range(1, 8)])
    findings = judge(many, runs(lstm=0.80, gru=0.90), {}).findings
    assert [f.p for f in findings] == pytest.approx([7 * 2 / 256] * 7)
    assert [f.answer for f in findings] == ["open"] * 7, "seven tests are more than eight pairs can decide"


def test_within_is_by_the_interval():
    same = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "measure": "score", "within": 0.02}
    assert judge(claim(same), runs(lstm=0.90, gru=0.90), {}).verdict == HOLDS
    assert judge(claim(same), runs(lstm=0.90, gru=0.80), {}).verdict == FAILS
    assert judge(claim(same), runs(lstm=0.90, gru=0.918, spread=0.02), {}).verdict == OPEN


@pytest.mark.parametrize(
    ("lstm", "gru", "above", "within"),
    [
        (0.11, 0.12, "void", "void"),  # neither has learned the task
        (0.10, 0.14, "void", "void"),  # nor here, though one is above the other
        (0.10, 0.16, "yes", "no"),  # one has, a little
        (0.99, 0.99, "void", "void"),  # solved by both: no room above, and equal by the task
        (0.99, 0.95, "no", "no"),  # worse, where more was not possible
        (0.97, 0.97, "no", "yes"),
    ],
)
def test_scores_are_compared_where_the_task_has_room_for_it(lstm, gru, above, within):
    records = runs(lstm=lstm, gru=gru)
    (found,) = judge(claim(better()), records, {}).findings
    unlearned = "neither has learned the task"
    said = {(0.11, 0.12): unlearned, (0.10, 0.14): unlearned, (0.99, 0.99): "the second leaves no room, 0.9"}
    assert found.answer == above
    assert said.get((lstm, gru), "p .008 against the bound") in found.words
    same = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "measure": "score", "within": 0.02}
    assert judge(claim(same), records, {}).findings[0].answer == within


def test_equal_where_both_have_solved_the_task_decides_nothing():
    same = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "measure": "score", "within": 0.02}
    solved = [record | {"solved": 0.95} for record in runs(lstm=0.955, gru=0.96)]
    (found,) = judge(claim(same), solved, {}).findings
    assert (found.answer, found.words.partition("; ")[2]) == (
        "void", "both have solved the task: equal there decides as little as better"
    )  # fmt: skip
    assert judge(claim(same), runs(lstm=0.955, gru=0.96), {}).findings[0].answer == "yes", "where no record says so"
    apart = [record | {"solved": 0.9} for record in runs(lstm=0.95, gru=0.91)]
    assert judge(claim(same), apart, {}).findings[0].answer == "no", "they differ by more than the bound all the same"
    assert judge(claim(better(above=0.02)), solved, {}).findings[0].answer == "no", "0.045 were left to be better by"


def test_a_gap_between_losses_is_void_where_both_have_solved_the_task():
    gap = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "measure": "gap", "above": 0}

    def answer(**levels):
        records = runs(**levels)
        losses = {"gru": 0.4, "lstm": 0.3}
        histories = {
            record["id"]: [{"step": 1, "val/loss": losses[record["axes"]["cell"]], "train/loss": 0.2}]
            for record in records
        }
        (found,) = judge(claim(gap), records, histories).findings
        return found.answer

    assert answer(lstm=0.5, gru=0.6) == "yes"
    assert answer(lstm=0.99, gru=0.99) == answer(lstm=0.11, gru=0.12) == "void"


def test_what_is_void_counts_for_nothing_and_is_shown():
    records = [*runs(lstm=0.99, gru=0.99), *runs(rnn=0.5, mgu=0.9)]
    both = claim(better(), better(first={"cell": "mgu"}, second={"cell": "rnn"}))
    judged = judge(both, records, {})
    assert (judged.verdict, judged.evidence) == (HOLDS, "1 yes, 1 void")
    only = judge(claim(better()), records, {})
    assert (only.verdict, only.evidence) == (OPEN, "1 void")
    assert only.to_do == "its tasks leave no room for a difference; others, or another budget, would"
    assert "void" in to_markdown([judged])


def test_smoke_runs_are_no_evidence_and_two_settings_are_none():
    smoke = [record | {"budget": {"name": "smoke"}} for record in runs(lstm=0.8, gru=0.9)]
    (finding,) = judge(claim(better()), smoke, {}).findings
    assert "8 runs of budget=smoke do not count" in finding.words
    mixed = runs(lstm=0.8, gru=0.9) + [make_record("gru", seed=s, lr=0.1) for s in range(8)]
    (finding,) = judge(claim(better()), mixed, {}).findings
    assert finding.answer == "open"
    assert "more than one setting" in finding.words


def test_a_run_that_diverged_has_the_floor_s_score_and_other_failures_are_named():
    records = runs(lstm=0.8, gru=0.9)
    failed = [make_record("gru", seed=0, status="diverged"), make_record("gru", seed=1, status="oom")]
    records = failed + [r for r in records if (r["axes"]["cell"], r["seed"]) not in {("gru", 0), ("gru", 1)}]
    (finding,) = judge(claim(better()), records, {}).findings
    assert "1 diverged" in finding.words
    assert "1 oom" in finding.words
    assert finding.n == 7
    judged = judge(claim(better()), records, {})
    assert not finding.missing, "there are eight pairs; to run them again makes no more"
    assert judged.to_do == "undecided with these seeds; more: rnnbench sweep experiment=made_up 'seed=range(16)'"


def test_what_is_to_do_is_what_could_help():
    mixed = runs(lstm=0.8, gru=0.9) + [make_record("gru", seed=s, lr=0.1) for s in range(8)]
    assert judge(claim(better()), mixed, {}).to_do.startswith("runs of several settings are mixed; apart: ")
    many = runs(seeds=24, lstm=0.80, gru=0.818, spread=0.03)
    both = judge(claim(better(), experiments=["one", "two"]), many, {})
    assert both.to_do.endswith("experiment=one 'seed=range(48)'; rnnbench sweep experiment=two 'seed=range(48)'")


FASTER = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "ratio": True}


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another"}, {"threads": 8}, {"precision": "bf16"}, {"packages": {"torch": "1.9"}}],
    ids=lambda other: next(iter(other)),
)
def test_a_cost_is_compared_on_one_machine_only(elsewhere):
    fast = claim(FASTER | {"measure": "updates_per_second", "above": 1})
    records = [r | {"steps_per_second": 100.0 + r["seed"]} for r in runs(seeds=5, lstm=0.9)]
    records += [r | {"steps_per_second": 300.0 + r["seed"]} for r in runs(seeds=5, gru=0.9)]
    assert judge(fast, records, {}).verdict == HOLDS
    apart = [r | elsewhere if r["axes"]["cell"] == "gru" else r for r in records]
    (finding,) = judge(fast, apart, {}).findings
    assert (finding.answer, finding.n, finding.missing) == ("open", 0, False)
    assert "5 pairs are of two machines" in finding.words


def test_a_compiled_cell_and_another_are_of_one_machine():
    fast = claim(FASTER | {"measure": "updates_per_second", "above": 1})
    here = {"cpu": "a processor"}
    records = [r | {"steps_per_second": 100.0 + r["seed"], "host": here} for r in runs(seeds=5, lstm=0.9)]
    compiled = here | {"compiler": "gcc 12.2.0", "compiler_flags": "-O3"}
    records += [r | {"steps_per_second": 300.0 + r["seed"], "host": compiled} for r in runs(seeds=5, gru=0.9)]
    assert judge(fast, records, {}).verdict == HOLDS


def test_who_never_reaches_the_target_counts_with_all_of_its_time():
    reach = claim(FASTER | {"measure": "target_seconds", "below": 1})
    records = runs(seeds=6, lstm=0.5, gru=0.95)
    rows = {
        "gru": [{"step": 100, "val/accuracy": 0.99}],
        "lstm": [{"step": 500, "val/accuracy": 0.4}],
    }
    histories = {r["id"]: rows[r["axes"]["cell"]] for r in records}
    (finding,) = judge(reach, records, histories).findings
    assert (finding.answer, finding.n) == ("yes", 6)
    assert finding.mean == pytest.approx(0.2, rel=0.1), "a fifth of the updates, of about as many seconds"
    assert "6 without target seconds" in finding.words
    neither = dict.fromkeys(histories, rows["lstm"])
    assert judge(reach, records, neither).findings[0].n == 0


def test_a_ratio_is_the_geometric_mean_and_says_where_it_was_measured():
    fast = {"measure": "updates_per_second", "ratio": True, "above": 1}
    records = [
        record | {"steps_per_second": speed * (1 + 0.01 * noise("speed", record["id"]))}
        for cell, speed in (("gru", 200.0), ("lstm", 100.0))
        for record in runs(seeds=5, **{cell: 0.9})
    ]
    fast_claim = claim({"first": {"cell": "gru"}, "second": {"cell": "lstm"}, **fast})
    judged = judge(fast_claim, records, {})
    assert judged.verdict == HOLDS
    assert judged.findings[0].mean == pytest.approx(2, rel=0.02)
    assert judged.evidence == "1 yes (torch, cpu, threads=2)"
    assert judge(fast_claim, [r | {"steps_per_second": 10.0} for r in records], {}).findings[0].answer == "open"


def test_parameters_are_exact_and_one_run_is_enough():
    check = {"first": {"cell": "gru"}, "second": {"cell": "lstm"}, "measure": "recurrent_params", "outputs": 10}
    lstm, gru = 4 * 64 * (8 + 64 + 2), 3 * 64 * (8 + 64 + 2)
    records = [make_record("lstm", params=lstm + 650), make_record("gru", params=gru + 650)]
    assert judge(claim(check | {"ratio": True, "equals": 0.75}), records, {}).verdict == HOLDS
    assert judge(claim(check | {"ratio": True, "equals": 0.667}), records, {}).verdict == FAILS


def test_verdicts_from_answers():
    for answers in itertools.product(("yes", "no", "open", "void"), repeat=3):
        has = {word: word in answers for word in ("yes", "no", "open")}
        every, some = verdict(answers, "all"), verdict(answers, "any")
        assert (every == HOLDS) == (set(answers) - {"void"} == {"yes"})
        assert (every == FAILS) == (some == FAILS) == (set(answers) - {"void"} == {"no"})
        assert (every == DEPENDS) == (has["yes"] and has["no"])
        assert (some == HOLDS) == has["yes"]
    assert verdict([], "all") == verdict([], "any") == OPEN


# measures


def test_measures_read_record_and_history():
    record = make_record("gru", value=0.55)
    assert claims_measures.score(record, [], None) == pytest.approx(0.5)
    error = make_record("gru", value=0.2, metric="mse", goal="min", floor=0.8, target=None)
    assert claims_measures.score(error, [], None) == pytest.approx(0.75), "without a target no error is 1"
    rows = [
        {"step": 100, "val/accuracy": 0.5, "val/loss": 1.0, "train/loss": 1.0},
        {"step": 250, "val/accuracy": 0.95, "val/loss": 0.5, "train/loss": 0.1},
        {"step": 500, "val/accuracy": 0.96, "val/loss": 0.6, "train/loss": 0.05},
    ]
    assert claims_measures.gap(record, rows, None) == pytest.approx(0.55)
    assert claims_measures.target_seconds(record, rows, None) == pytest.approx(record["train_seconds"] / 2)
    assert claims_measures.target_seconds(record, rows[:1], None) is None
    assert claims_measures.gap(record, [], None) is None


@pytest.mark.parametrize(
    ("curve", "expected"),
    [([0.001, 0.1, 1.0], 3), ([100.0, 1.0], 2), ([0.0, 1.0], 45), ([1.0, 0.0], None), ([1.0], None)],
)
def test_the_gradient_s_decades(curve, expected):
    record = make_record("rnn", diagnostics={"h_grad_norm": {"stack.layers.0": curve}})
    assert claims_measures.gradient_decades(record, [], None) == (None if expected is None else pytest.approx(expected))
    assert claims_measures.gradient_decades(make_record("rnn", diagnostics={}), [], None) is None


# from a store to files


def test_a_claim_reads_the_sweep_of_its_experiment_and_nothing_else(tmp_path):
    store = Store.open(tmp_path)
    records = runs(lstm=0.8, gru=0.9)
    fill_store(store, [*records, make_record("gru", seed=3, lr=0.5)])
    (tmp_path / "sweeps").mkdir()
    manifest = {"command": "rnnbench sweep experiment=made_up", "runs": [r["id"] for r in records], "skipped": []}
    (tmp_path / "sweeps" / "made_up.json").write_text(json.dumps(manifest))
    judged, used = judge_all(store, [claim(better()), claim(better(), n=2, experiments=["not_run"])])
    assert [each.verdict for each in judged] == [HOLDS, OPEN]
    assert sorted(r["id"] for r in used) == sorted(manifest["runs"])
    report, table = write_claims(judged, tmp_path / "tables")
    text = report.read_text()
    assert "| 1 | GRU is better. | a tutorial | made_up | 1 yes | holds |" in text
    assert "- claim 2: runs of not_run are missing: rnnbench claims --run 2" in text
    assert all(f"- {rule}" in text for rule in claims.rules())
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["claim"], row["answer"], row["n"]) for row in rows] == [("1", "yes", "8"), ("2", "open", "0")]
    assert write_claims(judged, tmp_path / "again")[0].read_text() == to_markdown(judged) == text


def test_the_published_ablation_is_evidence():
    store = Store(Path(__file__).parents[3] / "results" / "runs")
    (judged,), used = judge_all(store, asked(CLAIMS, [15]))
    assert judged.verdict in (HOLDS, FAILS, DEPENDS)
    assert all(finding.n == 10 for finding in judged.findings)
    assert used == [] or (store.root.parent / "sweeps" / "convlstm_peephole.json").exists()
