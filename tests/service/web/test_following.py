"""The links of the OpenAPI description."""

from __future__ import annotations

from service.web.following import LINKS
from service.web.openapi import build


def operations():
    return {each["operationId"]: each for item in build()["paths"].values() for each in item.values()}


def test_every_link_leads_to_an_operation_that_takes_what_it_gives():
    """From an answer that there is, to parameters that there are; none that is needed is missing."""
    known = operations()
    count = 0
    for name, by_status in LINKS.items():
        for status, links in by_status.items():
            assert known[name]["responses"][status]["links"] == links
            for link in links.values():
                target = known[link["operationId"]]
                taken = {each["name"] for each in target["parameters"] if each["in"] == "path"}
                assert set(link.get("parameters", {})) == taken
                assert ("requestBody" in link) == ("requestBody" in target)
                count += 1
    assert count > 20
