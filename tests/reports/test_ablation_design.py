"""Who is compared with whom in an ablation, and what its spec may say."""

import pytest

from rnnbench.errors import BadInput
from rnnbench.reports.ablation import ablation

from .ablated import effect, only, peephole_record, study
from .synthetic import make_record


def test_a_control_of_a_parameter_budget_is_named_by_it():
    control = [peephole_record("off", seed, hidden_size=70, params=9_050_000) for seed in range(8)]
    for record in control:
        record["axes"]["params_budget"] = 9_100_000
    found = only(study({"off": {}, "conv": {"shift": -0.01}}) + control)
    assert [(arm.name, arm.role) for arm in found.arms[2:]] == [("off (params_budget=9100000)", "control")]
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
