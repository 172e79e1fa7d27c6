"""An ablation with planted effects: what is there is found, what is not is not, and what is open is said to be open."""

import math
import random

import pytest

from reports.ablation.ablated import CORE, effect, gradient, only, peephole_record, row, study
from rnnbench.reports.ablation.verdicts import rules


def test_a_planted_effect_is_found_with_its_size():
    found = only(study({"off": {}, "on": {"shift": -0.01, "spread": 0.001}}))
    numbers = row(found.effects, "on")
    assert effect(found, "on") == "helps"
    assert numbers["low"] < -0.01 < numbers["high"]
    assert (numbers["n"], numbers["p"]) == (8, 2**-7)
    assert found.verdicts.choice == "on"


def test_of_a_metric_to_be_maximised_the_other_direction_helps():
    same = {"metric": "accuracy", "goal": "max", "level": 0.9, "floor": 0.1}
    found = only(study({"off": {}, "on": {"shift": 0.05}, "conv": {"shift": -0.05}}, **same))
    assert (effect(found, "on"), effect(found, "conv")) == ("helps", "hurts")


def test_a_null_whose_interval_is_within_the_margin_does_not_matter():
    found = only(study({"off": {}, "on": {"spread": 0.0005}}))
    assert effect(found, "on") == "does not matter"
    assert "does not matter" in found.verdicts.answers["effect"].lower()
    assert found.verdicts.choice == "off"


def test_a_null_where_both_have_solved_the_task_is_void():
    planted = {"off": {}, "on": {"spread": 0.0005}, "conv": {"shift": 0.01}}
    found = only([record | {"solved": 0.1} for record in study(planted)])
    assert effect(found, "on") == "void"
    assert found.verdicts.effects["on"].why.endswith(
        "both have solved the task: equal there decides as little as better"
    )
    assert "Void: **on**" in found.verdicts.answers["effect"]
    assert effect(found, "conv") == "hurts", "the task had room for it"
    alone = only([record | {"solved": 0.1} for record in study({"off": {}, "on": {"spread": 0.0005}})])
    assert "the task leaves no room to see what **on** would do" in alone.verdicts.answers["choice"]
    assert effect(only([record | {"solved": 0.05} for record in study(planted)]), "on") == "does not matter"


def test_a_null_with_too_much_noise_is_not_enough_evidence():
    found = only(study({"off": {}, "on": {"spread": 0.02}}))
    assert effect(found, "on") == "not enough evidence"
    assert "reaches beyond" in found.verdicts.effects["on"].why
    assert found.verdicts.choice == "off"


def test_a_bit_identical_variant_does_not_matter():
    found = only(study({"off": {}, "on": {"spread": 0.0}}))
    assert effect(found, "on") == "does not matter"
    assert row(found.effects, "on")["p"] == 1


def test_a_clear_effect_that_is_too_small_to_matter_does_not_matter():
    found = only(study({"off": {}, "on": {"shift": -0.0005, "spread": 0.0001}}))
    assert row(found.effects, "on")["p_holm"] < 0.05
    assert effect(found, "on") == "does not matter"


def test_five_pairs_cannot_help_or_hurt_but_can_be_equivalent():
    found = only(study({"off": {}, "on": {"shift": -0.01}, "conv": {"spread": 0.0005}}, range(5)))
    assert effect(found, "on") == "not enough evidence"
    assert "5 pairs in 2 comparisons cannot give a Holm p below .12" in found.verdicts.effects["on"].why
    assert effect(found, "conv") == "does not matter"


def test_four_pairs_show_nothing_and_two_have_no_interval():
    found = only(study({"off": {}, "on": {"spread": 0.0}}, range(4)))
    assert effect(found, "on") == "not enough evidence"
    assert "fewer than 5 pairs" in found.verdicts.effects["on"].why
    assert math.isnan(row(only(study(["off", "on"], range(2))).effects, "on")["low"])


def test_the_family_of_the_core_grid_can_just_be_significant_with_eight_seeds():
    planted = {name: {"shift": 0.0 if name == "off" else 0.01, "spread": 0.001} for name in CORE}
    control = [peephole_record("off", seed, hidden_size=70, shift=0.01) for seed in range(8)]
    found = only(study(planted) + control)
    assert set(found.effects[found.effects["against"] == "off"]["p_holm"]) == {6 / 128}
    assert all(effect(found, name.replace(", ", " ")) == "hurts" for name in CORE[1:])


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ({"bursts": 4.0}, "largest / median norm x3.9"),
        ({"spikes": 0.02}, "spikes in"),
        ({"fade": 0.1}, "gradient at t=1 relative to t=T x0.1"),
        ({"saturate": 0.2}, "gate saturation +"),
    ],
)
def test_a_planted_gradient_problem_is_found_in_the_right_variant(planted, words):
    found = only(study({"off": {}, "on": {}, "hadamard": planted}))
    assert gradient(found, "hadamard") == "problem"
    assert words in found.verdicts.gradients["hadamard"].why
    assert gradient(found, "on") == "none"
    assert "Yes, in **hadamard**" in found.verdicts.answers["gradient"]


def test_a_variant_that_diverges_in_every_seed_hurts():
    records = study(["off", "on"]) + [peephole_record("conv", seed, status="diverged") for seed in range(8)]
    found = only(records)
    assert (effect(found, "conv"), gradient(found, "conv")) == ("hurts", "problem")
    assert row(found.effects, "conv")["n"] == 0
    assert row(found.coverage, "conv")["coverage"] == "0/8: 8 diverged"


def test_three_divergences_are_open_however_good_the_survivors_are():
    records = study({"off": {}, "on": {"shift": -0.02}}, range(8), with_diagnostics=False)
    records += [
        peephole_record(
            "conv", seed, shift=-0.02, status="diverged" if seed < 3 else "ok", with_diagnostics=False, params=7_583_760
        )
        for seed in range(8)
    ]
    found = only(records)
    assert effect(found, "on") == "helps"
    assert effect(found, "conv") == "not enough evidence"
    assert "diverged in 3 of 8 seeds, off in 0" in found.verdicts.effects["conv"].why
    assert row(found.effects, "conv")["n"] == row(found.coverage, "conv")["pairs"] == 5
    assert row(found.coverage, "conv")["p"] == 0.25


def test_a_baseline_that_diverges_where_a_variant_does_not_makes_it_help():
    found = only([peephole_record("off", s, status="diverged" if s else "ok") for s in range(8)] + study(["on"]))
    assert effect(found, "on") == "helps"
    assert "The baseline, **off**, diverged in 7 of 8 runs" in found.verdicts.answers["gradient"]


def test_a_norm_that_was_not_finite_is_a_divergence_and_counts_as_the_largest():
    records = study({"off": {}, "hadamard": {"bursts": 3}})
    for record in records[8:11]:
        record["diagnostics"]["grad_norm"] |= {"max": None, "first_non_finite": 7}
    found = only(records)
    assert row(found.coverage, "hadamard")[["diverged", "first_non_finite"]].tolist() == [3, 7]
    largest = found.diagnostics[found.diagnostics["measure"] == "grad.max_over_median"].iloc[0]
    assert (largest["n"], largest["p"]) == (8, 2**-7)
    assert gradient(found, "hadamard") == "problem"


def test_other_failures_are_neither_divergence_nor_pair():
    records = study(["off"]) + [
        peephole_record("on", seed, status="oom" if seed == 0 else "timeout" if seed == 1 else "ok")
        for seed in range(8)
    ]
    ends = row(only(records).coverage, "on")
    assert ends["coverage"] == "6/8: 1 oom, 1 timeout"
    assert ends[["diverged", "known_ends", "pairs"]].tolist() == [0, 6, 6]
    assert "oom in training" in ends["failures"]


def test_without_diagnostics_the_gradient_question_is_open():
    found = only(study(["off", "on"], with_diagnostics=False))
    assert gradient(found, "on") == "not enough evidence"
    assert "no gradient diagnostics to compare" in found.verdicts.answers["gradient"]
    assert found.diagnostics.empty


def test_a_sign_without_pairs_is_said_to_have_none():
    records = study(["off", "on"]) + study(["conv"], range(3), with_diagnostics=False)
    assert gradient(only(records), "conv") == "not enough evidence"
    for record in records[8:16]:
        del record["diagnostics"]["saturation"]
    why = only(records).verdicts.gradients["on"].why
    assert why == "gate saturation: no pairs"


def test_a_larger_variant_must_beat_a_control_of_its_size():
    planted = {"off": {}, "conv": {"shift": -0.01, "spread": 0.001}}
    alone = only(study(planted))
    assert effect(alone, "conv") == "helps, perhaps by its size"
    assert alone.verdicts.choice == "off"

    def control(shift):
        return [peephole_record("off", s, hidden_size=70, shift=shift, params=9_050_000) for s in range(8)]

    beaten, equal = only(study(planted) + control(0.0)), only(study(planted) + control(-0.01))
    assert effect(beaten, "conv") == "helps"
    assert effect(equal, "conv") == "helps, perhaps by its size"
    assert beaten.verdicts.choice == "conv"
    against = beaten.effects[beaten.effects["against"] == "off (hidden_size=70)"]
    assert list(against["variant"]) == ["conv"]
    assert row(beaten.coverage, "off (hidden_size=70)")["role"] == "control"


@pytest.mark.parametrize(
    ("params", "counts"), [(8_900_000, False), (8_950_000, True), (9_950_000, True), (10_050_000, False)]
)
def test_a_control_has_as_many_parameters_or_rather_more(params, counts):
    control = [peephole_record("off", s, hidden_size=70, params=params) for s in range(8)]
    found = only(study({"off": {}, "conv": {"shift": -0.01, "spread": 0.001}}) + control)
    assert (effect(found, "conv") == "helps") == counts


def test_a_variant_that_helps_with_a_gradient_problem_is_not_the_choice():
    found = only(study({"off": {}, "on": {"shift": -0.01, "bursts": 4.0}}))
    assert effect(found, "on") == "helps"
    assert found.verdicts.choice == "off"
    assert "with a gradient problem" in found.verdicts.answers["choice"]


def test_of_equals_the_leaner_is_the_choice():
    records = study({"off": {}, "on": {"spread": 0.0005, "params": 5_000_000}})
    assert only(records).verdicts.choice == "on"


@pytest.mark.integration
def test_the_order_of_the_records_changes_nothing():
    records = [*study(CORE, range(6)), peephole_record("off", 0, hidden_size=70)]
    shuffled = records[:]
    random.Random(0).shuffle(shuffled)
    one, two = only(records), only(shuffled)
    assert one.verdicts == two.verdicts
    for name in ("effects", "diagnostics", "cost", "coverage"):
        assert getattr(one, name).equals(getattr(two, name)), name


def test_a_baseline_at_its_floor_shows_no_equivalence():
    found = only(study({"off": {}, "on": {"spread": 0.0}}, floor=0.05))
    assert math.isnan(found.margin)
    assert effect(found, "on") == "not enough evidence"
    assert any("no better than its floor" in note for note in found.notes)


def test_times_of_several_machines_are_not_compared():
    records = study(["off", "on"])
    records[-1]["host"] = "another"
    found = only(records)
    assert found.cost["train_seconds"].isna().all()
    assert any("several machines" in note for note in found.notes)


def test_everything_failed_is_still_a_report():
    found = only([peephole_record(name, s, status="diverged") for name in ("off", "on") for s in range(3)])
    assert effect(found, "on") == "not enough evidence"
    assert "no run of the baseline finished" in found.notes[0]


def test_the_rules_say_their_numbers():
    said = " ".join(rules(0.02))
    assert all(words in said for words in ("0.02 of the distance", "Holm's p < .05", "at least 5 pairs"))
