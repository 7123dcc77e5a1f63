"""What a query may ask of a report, and how it is refused."""

from __future__ import annotations

import pytest

from service.enrich.findings.run import rule_ids
from service.errors import RequestError
from service.presentation import Rules
from service.web.viewing import chosen_rules, input_shapes

A, B = rule_ids()[:2]


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("224,224,3", ((224, 224, 3),)),
        ("128", ((128,),)),
        (" 1, 2 ; 3 ", ((1, 2), (3,))),
        ("1,1,1,1,1,1,1,1", ((1,) * 8,)),
        ("2147483647", ((2147483647,),)),
    ],
)
def test_sizes_are_read(text, shapes):
    """One input or several, without the batch."""
    assert input_shapes(text) == shapes


@pytest.mark.parametrize(
    "text",
    [
        "", ",", ";", "3,", ",3", "3;;3", "0", "3,0", "-1", "+1", "1.5", "1e3", "None,3", "(3,)", "224x224", "٣", "0x3",
        "2147483648", "99999999999", "1,1,1,1,1,1,1,1,1", ";".join(["1"] * 17), "3\n", "3,\x00",
    ],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused(client, text):
    """Nothing is guessed: 400 with the parameter named."""
    with pytest.raises(RequestError) as raised:
        input_shapes(text)
    assert raised.value.info.pointer == "input_shape"


def test_rules_are_chosen_by_name():
    """These, all but these, all, none."""
    assert chosen_rules(f"{A},{B}") == Rules(names=frozenset((A, B)))
    assert chosen_rules(f"-{A}, -{B}") == Rules(names=frozenset((A, B)), excluded=True)
    assert chosen_rules("all") is None
    assert chosen_rules("none") == Rules(names=frozenset())


@pytest.mark.parametrize("text", ["", "x", f"{A},x", f"{A},", f"{A},-{B}", "all,none", "-all", "--" + A, A.upper()])
def test_rules_that_there_are_not_are_refused(client, text):
    """400 with the parameter named, before anything is read."""
    with pytest.raises(RequestError) as raised:
        chosen_rules(text)
    assert raised.value.info.pointer == "rules"


def test_an_unknown_rule_is_answered_with_all_there_are(client):
    """So that the next try can be right."""
    response = client.get("/v1/analyses/01a1fc66-bc3c-70cd-976b-f03c599b3780/report?rules=nonsense")
    assert response.status_code == 400
    assert response.get_json()["rules"] == list(rule_ids())


@pytest.mark.parametrize("query", ["batch=0", "batch=-1", "batch=1048577", "batch=x", "batch=1.5", "batch=", "stats=2"])
@pytest.mark.parametrize("path", ["", "/report", "/layers/dense"])
def test_numbers_and_flags_that_cannot_be_are_refused(client, path, query):
    """400 with the parameter named; never a guess."""
    response = client.get(f"/v1/analyses/01a1fc66-bc3c-70cd-976b-f03c599b3780{path}?{query}")
    assert (response.status_code, response.get_json()["pointer"]) == (400, query.partition("=")[0])


def test_a_parameter_that_is_not_known_is_refused(client):
    """Rather than ignored: it is probably misspelt."""
    response = client.get("/v1/kinds?langs=en")
    assert (response.status_code, response.get_json()["pointer"]) == (400, "langs")
    assert response.get_json()["detail"] == "langs: It is not known."
