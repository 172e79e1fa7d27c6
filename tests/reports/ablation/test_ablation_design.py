"""Who is compared with whom in an ablation, and what its spec may say."""

import pytest

from reports.ablation.ablated import effect, only, peephole_record, study
from reports.synthetic import make_record
from rnnbench.errors import BadInput
from rnnbench.reports.ablation.design import told_apart
from rnnbench.reports.ablation.study import ablation
from rnnbench.store.record import run_id


def test_a_control_of_a_parameter_budget_is_named_by_it():
    control = [peephole_record("off", seed, hidden_size=70, params=9_050_000) for seed in range(8)]
    for record in control:
        record["axes"]["params_budget"] = 9_100_000
    found = only(study({"off": {}, "conv": {"shift": -0.01}}) + control)
    assert [(arm.name, arm.role) for arm in found.arms[2:]] == [("off (params_budget=9100000)", "control")]
    assert effect(found, "conv") == "helps"


def test_layers_of_other_sizes_are_a_control_of_size():
    sizes = {"forecast.sizes": [70, 40]}
    control = [peephole_record("off", seed, hidden_size=70, params=9_050_000, options=sizes) for seed in range(8)]
    found = only(study({"off": {}, "conv": {"shift": -0.01}}) + control)
    assert [(arm.name, arm.role) for arm in found.arms[2:]] == [
        ("off (forecast.sizes=[70, 40], hidden_size=70)", "control")
    ]
    assert effect(found, "conv") == "helps"


def test_datasets_are_studies_of_their_own():
    records = study(["off", "on"]) + [
        record | {"id": f"x{n}", "dataset": record["dataset"] | {"name": "kth", "data_hash": "k"}, "config": None}
        for n, record in enumerate(study(["off", "on"]))
    ]
    assert [study.title.split(" ")[0] for study in ablation(records).studies] == ["kth", "moving_mnist"]


def test_a_factor_crossed_with_another_option_is_paired_within_it():
    options = [{}, {"clip": "null"}]
    records = [r for some in options for r in study({"off": {}, "on": {"shift": -0.01}}, options=some)]
    for record in records:
        record["config"]["clip"] = record["axes"]["options"].get("clip")
        record["id"] = f"{record['id']}{record['config']['clip']}"
    assert [len(study.arms) for study in ablation(records).studies] == [2, 2]


def test_a_study_of_cells_names_its_baseline():
    records = [make_record(cell, seed=seed) for cell in ("lstm", "nig", "nfg") for seed in range(8)]
    found = only(records, {"baseline": {"cell": "lstm"}, "questions": ["effect"]})
    assert [arm.name for arm in found.arms] == ["lstm", "nfg", "nig"]
    assert list(found.verdicts.answers) == ["effect"]


def test_yaml_s_off_is_the_word():
    assert only(study(["off", "on"]), {"baseline": {"peephole": False}}).arms[0].name == "off"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"baselin": {}}, "did you mean baseline"),
        ({"baseline": "off"}, "mapping"),
        ({"margin": 2}, "share between 0 and 1"),
        ({"questions": ["gradent"]}, "did you mean gradient"),
        ({"questions": "effect"}, "is a list"),
        ({"baseline": {"peephole": "none"}}, "no entry has peephole=none"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_in_one_sentence(spec, words):
    with pytest.raises(BadInput, match=words):
        ablation(study(["off", "on"]), spec)


def test_questions_may_have_words_of_their_own():
    asked = ablation(study(["off", "on"]), {"questions": [{"effect": "Does seeing C help?"}, "choice"]}).spec.questions
    assert asked == {"effect": "Does seeing C help?", "choice": "What should a user choose?"}


# several questions to one set of runs

PARTS = {
    "parts": [
        {"baseline": {"peephole": "off"}, "only": {"peephole": ["off", "on"]}},
        {"baseline": {"peephole": "on"}, "alone": True, "only": {"peephole": ["on", "hadamard"]}, "margin": 0.1},
    ],
    "questions": ["effect"],
}


def crossed(option):
    """off, on, hadamard, each as it is and with an option of training."""
    records = [r for some in ({}, option) for r in study(["off", "on", "hadamard"], options=some)]
    for record in records:
        record["config"] |= {"clip": 1.0} | record["axes"]["options"]
        record["id"] = run_id(record["config"])
    return records


def test_parts_are_families_of_their_own():
    found = ablation(crossed({"clip": 5.0}), PARTS)
    assert [[arm.name for arm in one.arms] for one in found.studies] == [
        ["off", "on"], ["off", "on"], ["on", "hadamard"], ["on", "hadamard"],
    ]  # fmt: skip
    assert [one.effects["family"].tolist() for one in found.studies] == [[1], [1], [1], [1]]
    assert [one.share for one in found.studies] == [0.02, 0.02, 0.1, 0.1]
    assert [list(one.questions) for one in found.studies] == [["effect"]] * 4


def test_an_entry_that_differs_in_more_than_the_factor_is_left_out_where_asked():
    records = [r for r in crossed({"clip": 5.0}) if r["axes"]["peephole"] == "on" or not r["axes"]["options"]]
    part = {"baseline": {"peephole": "off"}, "only": {"peephole": ["off", "on"]}}
    both = only(records, part)
    assert [arm.name for arm in both.arms] == ["off", "on", "on (clip=5)"]
    assert [arm.name for arm in only(records, part | {"alone": True}).arms] == ["off", "on"]


def test_an_option_set_to_null_is_another_entry():
    """clip=null is no clipping, and not the default."""
    found = ablation(crossed({"clip": None}), PARTS | {"parts": PARTS["parts"][:1]}).studies
    assert [[arm.name for arm in one.arms] for one in found] == [["off", "on"], ["off", "on"]]
    assert [one.title.rpartition(" · ")[2] for one in found] == ["ConvLSTM h=64", "clip=null"]


def test_equal_titles_say_what_is_unusual():
    first, second, third = (study(["off"], seeds=[0])[0] for _ in range(3))
    second["axes"] = second["axes"] | {"optimizer": "rmsprop", "options": {"optimizer.lr": 0.001}}
    third["config"] = third["config"] | {"dataset": {"name": "x", "input_steps": 20, "meta": {"version": 2}}}
    titles = told_apart([("a", first), ("a", second), ("a", third), ("b", first)])
    assert titles == ["a", "a · optimizer=rmsprop", "a · name=x, protocol=default, metric=default, input_steps=20", "b"]
    assert told_apart([("a", first), ("a", first)]) == ["a (1)", "a (2)"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"parts": {"baseline": {}}}, "parts is a list of mappings"),
        ({"parts": [{"parts": []}]}, "parts is a list of mappings"),
        ({"parts": [{"baselin": {}}]}, "did you mean baseline"),
        ({"only": ["off"]}, "only is a mapping of lists"),
        ({"only": {"peephole": "off"}}, "only is a mapping of lists"),
        ({"alone": "yes"}, "alone is true or false, not 'yes'"),
        ({"parts": [{"baseline": {"peephole": "a"}}, {"baseline": {"peephole": "b"}}]}, "peephole=a or peephole=b"),
    ],
)
def test_parts_that_cannot_be_are_refused_in_one_sentence(spec, words):
    with pytest.raises(BadInput, match=words):
        ablation(study(["off", "on"]), spec)
