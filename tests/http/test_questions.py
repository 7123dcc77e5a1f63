"""The three questions that people come with, asked as they would ask them, and answered in three languages."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.corpus import ROOT, corpus_dir

GOLDEN: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "seed_models.json").read_text())
RAW = {"Content-Type": "application/octet-stream"}
HAN = re.compile(r"[\u4e00-\u9fff]")
SIMPLIFIED, TRADITIONAL = (
    set("个训练权数层归输计为这从对进样总时无优让们则"),
    set("個訓練權數層歸輸計為這從對進樣總時無優讓們則"),
)
LANGUAGES = {"en": set(), "zh-Hans": SIMPLIFIED, "zh-Hant": TRADITIONAL}
"""Language -> characters that only it has."""


def said_in(language: str, *texts: str) -> bool:
    """Whether each of the texts is in this language, as far as their characters tell."""
    theirs = (SIMPLIFIED | TRADITIONAL) - LANGUAGES[language]
    together = set().union(*texts)
    own = not LANGUAGES[language] or bool(LANGUAGES[language] & together)
    return own and not theirs & together and all(bool(HAN.search(text)) == (language != "en") for text in texts)


def posted(service: Any, path: Path) -> dict[str, Any]:
    """The analysis of a file that is sent as it is."""
    response = service.ask("POST", f"/v1/analyses?wait=60&filename={path.name}", body=path.read_bytes(), headers=RAW)
    assert response.status == 201, response.data
    found: dict[str, Any] = response.json()
    return found


def asked(service: Any, address: str, language: str, **query: str) -> Any:
    """The answer in a language, which it says itself."""
    response = service.ask("GET", f"{address}?{urlencode({**query, 'lang': language})}")
    assert (response.status, response.headers["Content-Language"]) == (200, language), response.data
    return response


@pytest.fixture(scope="module")
def seed0(service: Any) -> dict[str, Any]:
    """The first seed: a Sequential of three Dense layers, each with a BatchNormalization."""
    return posted(service, corpus_dir("keras_files") / "seed0.keras")


class TestWhyTwoThousandAndFortyEight:
    """Why does BatchNormalization on 512 features have 2,048 parameters?"""

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_the_layer_says_it(self, service: Any, seed0: dict[str, Any], language: str) -> None:
        """In a sentence with the numbers, a formula, and what is learned and what is tracked."""
        answer = asked(service, f"{seed0['links']['self']}/layers/batch_normalization", language).json()
        why = answer["layer"]["explanation"]
        assert (why["formula"], why["total"], why["status"]) == ("4 × 512 = 2048", 2048, "complete")
        assert [(part["group"], part["names"], part["count"]) for part in why["parts"]] == [
            ("trainable", ["gamma", "beta"], 1024),
            ("statistic", ["moving_mean", "moving_variance"], 1024),
        ]
        assert [(term["symbol"], term["value"]) for term in why["terms"]] == [("vectors", 4), ("features", 512)]
        assert {"gamma", "beta", "moving_mean", "moving_variance"} <= set(re.findall(r"[a-z_]+", why["text"]))
        assert re.findall(r"\d+", why["text"]) == ["512", "4", "512", "4", "512", "2048"]
        assert {"2,048", "1,024", "1,025"} <= set(re.findall(r"[\d,]*\d", why["expert"]))
        said = [why["text"], why["expert"], *(term["meaning"] for term in why["terms"])]
        assert said_in(language, *said), said
        assert "1502.03167" in why["reference"]

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_the_catalogue_says_it_without_a_model(self, service: Any, language: str) -> None:
        """The kind, its formula in both frameworks, what they differ in, and this very layer as an example."""
        kind = asked(service, "/v1/kinds/batch_norm", language).json()
        assert {item["framework"]: item["formula"] for item in kind["formulas"]} == {
            "keras": "4 × features", "torch": "2 × features"
        }  # fmt: skip
        assert any(example["formula"] == "4 × 512 = 2048" for example in kind["examples"])
        said = [kind["summary"], *kind["differences"], *(example["text"] for example in kind["examples"])]
        assert said_in(language, *said), said


class TestWhyKerasCountsMore:
    """Why does Keras count 64 more than PyTorch for the same network?"""

    SUMMARY = (
        "The gap of 64 is BatchNormalization's moving mean (32) and moving variance (32): Keras counts them as "
        "non-trainable weights, PyTorch keeps them as buffers outside `parameters()`. Everything else is equal."
    )

    def check(self, found: dict[str, Any], gap: int, language: str) -> None:
        """One cause with the whole gap, and a sentence to quote."""
        answer = found["comparison"]
        assert (answer["gap"], answer["unexplained"], answer["status"]) == (gap, 0, "complete")
        assert [(cause["code"], cause["count"]) for cause in answer["causes"]] == [("statistics_in_buffers", gap)]
        assert {answer["left"]["counted"], answer["right"]["counted"]} == {13_108_758, 13_108_694}
        said = [answer["summary"], answer["causes"][0]["text"]]
        assert said_in(language, *said), said
        assert re.findall(r"\d+", answer["summary"]) == ["64", "32", "32"]
        if language == "en":
            assert answer["summary"] == self.SUMMARY

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_two_files_in_a_form(self, service: Any, language: str) -> None:
        """As curl -F sends them."""
        paths = {"left": corpus_dir("keras_files") / "seed2.keras", "right": corpus_dir("torch_files") / "seed.pt2"}
        fields = {side: (path.name, path.read_bytes()) for side, path in paths.items()}
        response = service.ask("POST", f"/v1/comparisons?wait=60&lang={language}", fields=fields)
        assert response.status == 201, response.data
        self.check(response.json(), -64, language)

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("name", ["seed_module.pt", "seed_state.pt"])
    def test_two_analyses_in_either_order(self, service: Any, name: str, language: str) -> None:
        """The same sentence, and the sign of the gap turns. Also where the PyTorch file records no graph."""
        keras = posted(service, corpus_dir("keras_files") / "seed2.keras")["id"]
        torch = posted(service, corpus_dir("torch_files") / name)["id"]
        for left, right, gap in ((keras, torch, -64), (torch, keras, 64)):
            response = service.ask("POST", "/v1/comparisons?wait=60", json={"left": left, "right": right})
            assert response.status == 201, response.data
            here = response.json()["links"]["self"]
            self.check(asked(service, here, language).json(), gap, language)
            for form in ("text", "markdown", "html"):
                assert "64" in asked(service, here, language, format=form).data.decode()

    def test_the_specs_of_both_frameworks(self, service: Any) -> None:
        """Nobody needs a file to ask."""
        keras = [
            {"type": "Conv2D", "filters": 32, "kernel_size": 3, "padding": "same"}, {"type": "BatchNormalization"},
            {"type": "Flatten"}, {"type": "Dense", "units": 100}, {"type": "Dense", "units": 10},
        ]  # fmt: skip
        torch = [
            {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}, {"type": "BatchNorm2d"},
            {"type": "Flatten"}, {"type": "Linear", "out_features": 100}, {"type": "Linear", "out_features": 10},
        ]  # fmt: skip
        specs = {
            "left": {"framework": "keras", "input_shape": [64, 64, 1], "layers": keras},
            "right": {"framework": "torch", "input_shape": [1, 64, 64], "layers": torch},
        }
        fields = {side: ("spec.json", json.dumps(spec)) for side, spec in specs.items()}
        response = service.ask("POST", "/v1/comparisons?wait=60", fields=fields)
        assert response.status == 201, response.data
        self.check(response.json(), -64, "en")


class TestWhatAreAllTheWeights:
    """What are all the weights in this Sequential?"""

    def test_every_layer_and_weight(self, service: Any, seed0: dict[str, Any]) -> None:
        """Names, shapes, trainability, shapes of outputs and totals are Keras' own."""
        report, golden = seed0["report"], GOLDEN["seed0_mlp_batchnorm"]
        shown = [
            {
                "name": layer["name"], "type": layer["type"], "output_shape": layer["output_shapes"][0],
                "parameters": sum(weight["count"] for weight in layer["weights"]),
                "weights": [{key: one[key] for key in ("name", "shape", "trainable")} for one in layer["weights"]],
            }
            for layer in report["layers"]
        ]  # fmt: skip
        assert shown == golden["layers"]
        totals = report["totals"]
        assert (totals["trainable"], totals["statistics"]) == (716_658, 1_612)
        assert totals["trainable"] + totals["statistics"] == golden["totals"]["total"]

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_how_a_person_reads_it(self, service: Any, seed0: dict[str, Any], language: str) -> None:
        """Three blocks of Linear and BatchNorm; what is redundant and what is doubtful, with what to do."""
        report = asked(service, seed0["links"]["report"], language).json()
        assert [(block["name"], block["parameters"]) for block in report["blocks"]] == [
            ("dense", 576_000), ("dense_1", 132_352), ("dense_2", 9_918)
        ]  # fmt: skip
        findings = report["findings"]
        assert sorted((item["rule"], item["path"]) for item in findings) == [
            ("batch_norm_before_softmax", "batch_normalization_2"), ("bias_before_normalization", "dense"),
            ("bias_before_normalization", "dense_1"), ("bias_before_normalization", "dense_2"),
        ]  # fmt: skip
        redundant = [item for item in findings if item["rule"] == "bias_before_normalization"]
        assert all("806" in item["what"] for item in redundant)
        said = [item[key] for item in findings for key in ("what", "why", "action") if item[key]]
        assert said_in(language, *said), said

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("form", ["text", "markdown", "html"])
    def test_pages_to_read(self, service: Any, seed0: dict[str, Any], form: str, language: str) -> None:
        """Each names every layer and weight, the totals and the findings, in the reader's language."""
        response = asked(service, seed0["links"]["report"], language, format=form)
        page = response.data.decode().replace("\\", "")
        for layer in GOLDEN["seed0_mlp_batchnorm"]["layers"]:
            assert layer["name"] in page
            assert f"{layer['parameters']:,}" in page
            for weight in layer["weights"]:
                shape = ", ".join(map(str, weight["shape"]))
                assert re.search(rf"\({shape},?\)|{shape.replace(', ', ' × ')}", page), weight
        assert all(number in page for number in ("716,658", "1,612", "718,270", "806"))
        assert said_in(language, page)

    def test_a_table_for_a_spreadsheet(self, service: Any, seed0: dict[str, Any]) -> None:
        """One row for each weight."""
        table = asked(service, seed0["links"]["report"], "en", format="csv").data.decode()
        rows = [row for row in csv.DictReader(io.StringIO(table)) if row["weight"]]
        assert [(row["layer_path"], row["weight"], row["shape"], row["trainable"]) for row in rows] == [
            (layer["name"], weight["name"], "x".join(map(str, weight["shape"])), str(weight["trainable"]).lower())
            for layer in GOLDEN["seed0_mlp_batchnorm"]["layers"]
            for weight in layer["weights"]
        ]
