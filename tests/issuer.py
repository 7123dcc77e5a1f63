"""An issuer of bearer tokens for tests: keys, their public set, and tokens good and bad."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER, AUDIENCE = "https://issuer.example/", "weighbridge"


class Issuer:
    """Signs with an RSA, an elliptic curve and an Ed25519 key, called rsa, ec and ed."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate(),
        }

    def jwks(self, **more: Any) -> bytes:
        """The public keys; `more` are further fields of each."""
        return json.dumps({"keys": [public(key) | {"kid": kid} | more for kid, key in self.keys.items()]}).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Of a valid token; a claim that is changed to None is left out."""
        now = int(time.time())
        valid = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600, "roles": ["submitter"]}
        return {name: value for name, value in (valid | changed).items() if value is not None}

    def token(self, kid: str = "rsa", algorithm: str = "RS256", headers: Any = None, **changed: Any) -> str:
        """A token, signed."""
        named = {"kid": kid} if headers is None else headers
        return jwt.encode(self.claims(**changed), self.keys.get(kid, self.keys["rsa"]), algorithm, named)

    def pem(self) -> bytes:
        """The public RSA key as everybody can have it."""
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.keys["rsa"].public_key().public_bytes(serialization.Encoding.PEM, spki)

    def forged(self, header: dict[str, Any], secret: bytes | None = None, **changed: Any) -> str:
        """A token made by hand: with an HMAC of `secret` where there is one, else without a signature."""
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, self.claims(**changed)))
        signature = b"" if secret is None else hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_encoded(signature)}"


def public(key: Any) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    kinds = (
        (rsa.RSAPrivateKey, jwt.algorithms.RSAAlgorithm),
        (ec.EllipticCurvePrivateKey, jwt.algorithms.ECAlgorithm),
        (ed25519.Ed25519PrivateKey, jwt.algorithms.OKPAlgorithm),
    )
    kind = next(algorithm for private, algorithm in kinds if isinstance(key, private))
    return dict(kind.to_jwk(key.public_key(), as_dict=True))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
