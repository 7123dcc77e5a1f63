"""What clients ask for, with and without a key, and all that can be asked for."""

from __future__ import annotations

from service.web.app import create_app

HERE, COMPARISONS = "/v1/analyses", "/v1/comparisons"


def raw(client, headers, content=b"model", path=f"{HERE}?wait=10"):
    """Sends a model as a raw body."""
    return client.post(path, data=content, content_type="application/octet-stream", headers=headers)


def compared(client, headers, left, right):
    """Asks for the comparison of two analyses."""
    body = {"left": left, "right": right}
    return client.post(f"{COMPARISONS}?wait=10", json=body, headers=headers)


def addresses(parts):
    """Every route with its methods, ids filled in with `{id}`."""
    for rule in create_app(parts).url_map.iter_rules():
        address = rule.rule.replace("<id:identifier>", "{id}").replace("<anything:path>", "dense")
        for method in sorted(rule.methods - {"OPTIONS"}):
            yield method, address.replace("<name>", "batch_norm").split("<")[0], rule.endpoint
