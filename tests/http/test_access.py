"""Who may do what, under gunicorn with two web workers: keys, tokens, quotas, ports, and requests that are two."""

from __future__ import annotations

import concurrent.futures
import json
import socket
import time
from pathlib import Path

import pytest

from tests.fakes import wait_for
from tests.http.access_keys import bearer, keys, make_key
from tests.http.conftest import answer, free_port, running
from tests.issuer import AUDIENCE, ISSUER, Issuer

HERE = "/v1/analyses"
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def issuer():
    """Who signs tokens."""
    return Issuer()


@pytest.fixture(scope="module")
def service(tmp_path_factory, issuer):
    """One that wants keys, takes tokens, has a port for monitoring and an audit log."""
    folder = tmp_path_factory.mktemp("access")
    (folder / "jwks.json").write_bytes(issuer.jwks())
    admin = free_port()
    for made in running(
        folder / "data", WEIGHBRIDGE_AUTH="required", WEIGHBRIDGE_ADMIN_BIND=f"127.0.0.1:{admin}",
        WEIGHBRIDGE_AUDIT_LOG=str(folder / "audit.log"), WEIGHBRIDGE_TOKEN_ISSUER=ISSUER,
        WEIGHBRIDGE_TOKEN_AUDIENCE=AUDIENCE, WEIGHBRIDGE_TOKEN_JWKS=str(folder / "jwks.json"),
        WEIGHBRIDGE_LOG_LEVEL="DEBUG", WEIGHBRIDGE_STALL_SECONDS="5",
    ):  # fmt: skip
        made.admin, made.audit = admin, folder / "audit.log"
        yield made


@pytest.fixture(scope="module")
def ann(service):
    return make_key(service, "ann")


@pytest.fixture(scope="module")
def bob(service):
    return make_key(service, "bob")


def statuses(service, headers, times, path="/v1/formats"):
    """Of so many requests, each on a connection of its own, so that both workers are asked."""

    def one(_):
        return service.ask("GET", path, headers=headers | {"Connection": "close"}).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(times)))


def test_one_account_s_analyses_are_not_there_for_another(service, ann, bob, model):
    """W8: over the whole life of one: made, read in every form, measured, compared, listed, deleted."""
    made = service.ask("POST", f"{HERE}?wait=30", body=model(3), headers=RAW | bearer(ann)).json()
    here = made["links"]["self"]
    paths = [here, f"{here}/report", f"{here}/report?format=csv", f"{here}/layers/dense", f"{here}?stats=true&wait=10"]
    for path in paths:
        assert service.ask("GET", path, headers=bearer(ann)).status == 200, path
        assert service.ask("GET", path, headers=bearer(bob)).status == 404, path
        assert service.ask("GET", path).status == 401, path
    assert service.ask("GET", HERE, headers=bearer(bob)).json()["items"] == []
    body = json.dumps({"left": made["id"], "right": made["id"]})
    as_json = {"Content-Type": "application/json"}
    assert service.ask("POST", "/v1/comparisons", body=body, headers=as_json | bearer(bob)).status == 404
    compared = service.ask("POST", "/v1/comparisons?wait=30", body=body, headers=as_json | bearer(ann)).json()
    assert service.ask("GET", compared["links"]["self"], headers=bearer(bob)).status == 404
    assert service.ask("DELETE", compared["links"]["self"], headers=bearer(bob)).status == 404
    again = service.ask("POST", f"{HERE}?wait=30", body=model(3), headers=RAW | bearer(bob)).json()
    assert (again["cached"], again["account"]) == (False, "bob")
    assert service.ask("DELETE", here, headers=bearer(bob)).status == 404
    assert service.ask("DELETE", here, headers=bearer(ann)).status == 204
    assert service.ask("GET", again["links"]["self"], headers=bearer(bob)).json()["state"] == "succeeded"


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"X-API-Key:\r\n",
        b"X-API-Key: %s\r\nX-API-Key: %s\r\n",
        b"Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n",
        b"Authorization: Bearer %s\r\nX-API-Key: %s\r\n",
        b"Authorization: %s\r\n",
        b"Authorization: Basic %s\r\n",
        b"X_API_Key: %s\r\n",
        b"X-API-Key: %s\xc3\xa4\r\n",
        b"X-API-Key: \xe2\x80\x8b%s\r\n",
        b"X-API-Key: " + b"a" * 5000 + b"\r\n",
        b"Cookie: X-API-Key=%s\r\n",
        b"Proxy-Authorization: Bearer %s\r\n",
    ],
)
def test_a_key_in_no_proper_place_is_none(service, ann, fields):
    """W10: missing, empty, twice, in two fields, under another scheme or name, not ASCII, over-long, in a cookie."""
    sent = fields.replace(b"%s", ann.encode())
    head = b"GET /v1/analyses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    status, headers, body = answer(service.raw(head + sent + b"\r\n"))
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer ")
    assert headers["content-type"] == "application/problem+json"
    assert ann.encode() not in body


def test_a_key_in_the_address_is_none(service, ann):
    """It would be in every log on the way."""
    for path in (f"{HERE}?api_key={ann}", f"{HERE}?access_token={ann}", f"{HERE}/{ann}"):
        assert service.ask("GET", path).status == 401


def _tokens(issuer):
    """What makes a token invalid, by name."""
    stranger = Issuer()
    return {
        "expired": issuer.token(exp=int(time.time()) - 3600),
        "another audience": issuer.token(aud="another"),
        "another issuer": issuer.token(iss="https://evil.example/"),
        "none": issuer.forged({"alg": "none", "kid": "rsa"}),
        "hmac with the public key": issuer.forged({"alg": "HS256", "kid": "rsa"}, issuer.pem()),
        "no key id": issuer.forged({"alg": "RS256"}, b"x"),
        "a stranger's key": stranger.token(),
        "garbage": "e30.e30.e30",
    }


def test_a_token_that_is_not_valid_lets_nobody_in(service, issuer):
    """401 with the reason, for each way not to be valid; nothing of it comes back."""
    for name, token in _tokens(issuer).items():
        refused = service.ask("GET", HERE, headers=bearer(token))
        assert refused.status == 401, name
        assert refused.json()["code"] == "unauthenticated", name
        assert token.encode() not in refused.data, name


def test_a_valid_token_lets_its_holder_in(service, issuer, ann, model):
    """As an account of its own, with the role that it names."""
    made = service.ask("POST", f"{HERE}?wait=30", body=model(4), headers=RAW | bearer(issuer.token(sub="ann")))
    assert (made.status, made.json()["account"]) == (201, f"token:{ISSUER}:ann")
    assert service.ask("GET", made.json()["links"]["self"], headers=bearer(ann)).status == 404
    for roles, status in ((["reader"], 403), ([], 403), (["admin"], 201)):
        token = issuer.token(sub="cid", roles=roles)
        assert service.ask("POST", f"{HERE}?wait=30", body=model(4), headers=RAW | bearer(token)).status == status


def test_a_revoked_key_is_refused_by_every_process_at_once(service):
    """By the command, while the service runs."""
    key = make_key(service, "eve")
    assert set(statuses(service, bearer(key), 16)) == {200}
    keys(service, "revoke", key.split("_")[1])
    assert set(statuses(service, bearer(key), 16)) == {401}


def test_quotas_are_those_of_both_workers_together(service):
    """Forty requests at once, of which fifteen are allowed: fifteen, whoever answered them."""
    key = make_key(service, "greedy", "reader", "--quota", "requests_per_minute=15")
    seen = statuses(service, bearer(key), 40)
    assert (seen.count(200), seen.count(429)) == (15, 25)
    refused = service.ask("GET", "/v1/formats", headers=bearer(key))
    assert refused.json()["limit"] == "quota_requests_per_minute"
    assert int(refused.headers["Retry-After"]) > 0
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("15", "0")


def test_bytes_are_counted_while_they_come(service):
    """W11: announced, they are refused by the header; in chunks, as soon as it is too much. Nothing is kept."""
    key = make_key(service, "heavy", "submitter", "--quota", "bytes_per_hour=10000000")
    head = f"POST {HERE}?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    head += f"X-API-Key: {key}\r\nConnection: close\r\n"
    announced = service.raw(head.encode() + b"Content-Length: 10000001\r\n\r\n")
    assert answer(announced)[0] == 429
    piece = b"100000\r\n" + b"P" * (1 << 20) + b"\r\n"
    chunked = service.raw(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    sent = 0
    try:
        for _ in range(40):
            chunked.sendall(piece)
            sent += 1
    except OSError:
        pass
    status, _, body = answer(chunked)
    assert (status, b"quota_bytes_per_hour" in body) == (429, True) or (status, sent < 40) == (0, True)
    wait_for(lambda: not service.left_behind())


def test_monitoring_has_a_port_of_its_own(service):
    """Without a key, and nothing else there; and nothing of it on the public one."""
    public, monitoring = (f"http://127.0.0.1:{port}" for port in (service.port, service.admin))

    def status(address, path):
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return answer(connection)[0]

    assert [status(monitoring, path) for path in ("/metrics", "/readyz", "/healthz", HERE, "/docs")] == [
        200, 200, 200, 404, 404,
    ]  # fmt: skip
    assert [status(public, path) for path in ("/metrics", "/readyz", "/healthz", HERE)] == [404, 404, 200, 401]


SECURITY = ("x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy", "cache-control")


@pytest.mark.parametrize(
    "request_head",
    [
        b"nonsense\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v1/analyses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_every_answer_has_the_security_headers(service, request_head):
    """Also those that never reach the application."""
    _, headers, _ = answer(service.raw(request_head))
    assert all(name in headers for name in SECURITY), headers


SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked;a=b\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Content-Length: 0, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5 5\r\n",
        b"Content-Length: 5_0\r\n",
        b"Content-Length: \xd9\xa5\r\n",
        b"Content-Length: \r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length: 5\n",
        b"Content-Length: 0\r\nX: y\rContent-Length: 5\r\n",
        b"Content-Length: 0\r\nX: y\x00\r\n",
    ],
)
def test_one_request_is_never_two(service, ann, framing):
    """W4: where it is in doubt where a body ends, the connection ends; what stands in it is never a request."""
    head = b"POST /v1/analyses?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    head += b"X-API-Key: %s\r\n" % ann.encode() + framing + b"\r\n"
    connection = service.raw(head, b"0\r\n\r\n", SMUGGLED % ann.encode())
    connection.shutdown(socket.SHUT_WR)
    status, _, body = answer(connection)
    assert 400 <= status < 600
    assert b"HTTP/1.1 " not in body
    assert b"smuggled" not in body


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5;\n\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_chunks_in_doubt_end_the_connection(service, ann, chunks):
    """Sizes that other parsers might read otherwise."""
    head = b"POST /v1/analyses?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    head += b"X-API-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % ann.encode()
    connection = service.raw(head, chunks, SMUGGLED % ann.encode())
    connection.shutdown(socket.SHUT_WR)
    status, _, body = answer(connection)
    assert (status, body.count(b"HTTP/1.1 ")) in ((400, 0), (415, 0), (0, 0)), body
    assert b"smuggled" not in body


def test_the_request_behind_a_refused_one_is_answered(service, ann):
    """Though it is read together with the rest of a body that nobody wanted, and comes in two pieces itself."""
    first = b"POST /v1/analyses HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
    second = b"POST /v1/analyses?wait=9 HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    second += b"X-API-Key: %s\r\nContent-Length: 9000\r\nConnection: close\r\n\r\n" % ann.encode()
    connection = service.raw(first)
    refused = connection.recv(65536)
    assert refused.startswith(b"HTTP/1.1 401 ")
    connection.sendall(b"x" * 5000 + second + b"y" * 4000)
    connection.sendall(b"y" * 5000)
    _, _, rest = (refused + _all_of(connection)).partition(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1 415 " in rest


def _all_of(connection):
    """What still comes on a connection."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    connection.close()
    return data


@pytest.mark.parametrize("field", [b"SCRIPT_NAME: /v1", b"PATH_INFO: /metrics", b"X-Forwarded-Prefix: /v1",
                                   b"X-Original-URL: /metrics", b"X-Rewrite-URL: /metrics",
                                   b"X-HTTP-Method-Override: DELETE"])  # fmt: skip
def test_no_field_says_what_was_meant(service, field):
    """The request line does. Loopback is a trusted proxy to gunicorn, which would believe some of these."""
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + field + b"\r\n\r\n"
    status, _, body = answer(service.raw(head))
    assert (status, json.loads(body)) == (200, {"status": "ok"})


def test_no_secret_is_anywhere(service, ann, issuer):
    """Logs, audit log, data folder, metrics, arguments and environments of all processes."""
    token = issuer.token(sub="dan")
    service.ask("GET", HERE, headers=bearer(token))
    service.ask("GET", f"{HERE}/{ann}", headers={"X-API-Key": ann + "x"})
    secrets = [ann.rpartition("_")[2].encode(), token.encode(), token.rpartition(".")[2].encode()]
    places = {"output": "".join(service.output).encode(), "audit": service.audit.read_bytes()}
    places |= {str(path): path.read_bytes() for path in service.data_dir.rglob("*") if path.is_file()}
    for pid in _family(service.process.pid):
        for name in ("cmdline", "environ"):
            places[f"{pid}/{name}"] = _read(Path(f"/proc/{pid}/{name}"))
    with socket.create_connection(("127.0.0.1", service.admin), timeout=30) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        places["metrics"] = answer(connection)[2]
    assert len(places) > 15
    assert b"weighbridge_requests_total" in places["metrics"]
    assert [name for name, content in places.items() if any(secret in content for secret in secrets)] == []


def _family(pid):
    """A process and all that came of it."""
    children = _read(Path(f"/proc/{pid}/task/{pid}/children")).split()
    return [pid, *(found for child in children for found in _family(int(child)))]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_audit_log_tells_who_did_what(service, ann, bob, model):
    """Whole lines, of all processes, none with anything but printable ASCII."""
    here = service.ask("POST", f"{HERE}?wait=30", body=model(4), headers=RAW | bearer(ann)).json()["links"]["self"]
    limited = bearer(make_key(service, "limited", "reader", "--quota", "requests_per_minute=1"))
    asked = [("GET", here, bearer(bob)), ("DELETE", here, bearer(ann)), ("GET", HERE, {}), ("GET", HERE, limited)]
    answers = [service.ask(method, path, headers=headers).status for method, path, headers in [*asked, asked[-1]]]
    assert answers == [404, 204, 401, 200, 429]
    raw = service.audit.read_bytes()
    assert all(32 <= byte < 127 or byte == 10 for byte in raw)
    lines = [json.loads(line) for line in raw.splitlines()]
    told = {(line["action"], line.get("account"), line["status"]) for line in lines}
    assert {
        ("create_analysis", "ann", 201), ("show_analysis", "bob", 404), ("delete_analysis", "ann", 204),
        ("list_analyses", None, 401), ("list_analyses", "limited", 429),
    } <= told  # fmt: skip
    assert {line["code"] for line in lines if line["status"] == 429} == {"quota_exceeded"}
