"""A payload codec that encrypts with data keys of AWS KMS. Comes with the extra `worldflow[encryption]`.

A process asks KMS for a data key, encrypts values with it (AES-256-GCM), and keeps the data key as KMS has encrypted
it beside each value. So KMS is asked a few times an hour by each process, and not once a value. What is authenticated
with a value is the run that it belongs to: one that is put in another run's place is not decrypted.

    magic, 4 bytes | length of the encrypted data key, 2 bytes | encrypted data key | nonce, 12 bytes | ciphertext
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worldflow.engine.errors import ConfigurationError, PayloadCodecError
from worldflow.worlds.aws.access import end_retries_in_time

__all__ = ["KmsCodec", "kms_codec"]

DATA_KEY_SECONDS = 300.0
"""For how long a process encrypts with one data key."""

DATA_KEY_USES = 100_000
"""How many values it encrypts with one: far fewer than the 2**32 for which random nonces are safe."""

KNOWN_SECONDS = 3_600.0
"""For how long a process keeps a data key that KMS has decrypted for it."""

KNOWN_LIMIT = 1_000

_MAGIC = b"wfk1"
_NONCE = 12
_PURPOSE = {"worldflow": "payload"}
"""KMS's encryption context: it stands in CloudTrail, and policies may ask for it."""

_WRONG_KEY = ("IncorrectKeyException", "InvalidCiphertextException", "NotFoundException")
_NO_KEY = ("AccessDeniedException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException")


class KmsCodec:
    """Encrypts with the KMS key `key`. May be used from several threads.

    key: an id, an ARN or an alias.
    older: previous keys, with which older data can still be decrypted.
    client: a boto3 client for KMS. Default: one with the process's region and credentials.
    """

    def __init__(self, key: str, *older: str, client: Any = None) -> None:
        self._keys = (key, *older)
        self._client = client
        self._lock = threading.Lock()
        self._own: tuple[bytes, AESGCM] | None = None
        self._own_until = 0.0
        self._own_uses = 0
        self._known: OrderedDict[bytes, tuple[float, AESGCM]] = OrderedDict()

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        encrypted_key, cipher = self._data_key()
        nonce = os.urandom(_NONCE)
        head = _MAGIC + len(encrypted_key).to_bytes(2, "big") + encrypted_key
        return head + nonce + cipher.encrypt(nonce, data, _authenticated(context))

    def recognizes(self, data: bytes) -> bool:
        return data[:4] == _MAGIC

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        if not self.recognizes(data):
            raise PayloadCodecError("the data was encoded by a codec other than KmsCodec")
        end = 6 + int.from_bytes(data[4:6], "big")
        cipher = self._decrypted(data[6:end])
        try:
            return cipher.decrypt(data[end : end + _NONCE], data[end + _NONCE :], _authenticated(context))
        except (InvalidTag, ValueError):
            raise PayloadCodecError(
                f"the data of {dict(context)} is corrupt, or was encrypted for another context"
            ) from None

    # --- data keys ---

    def _data_key(self) -> tuple[bytes, AESGCM]:
        """What this process encrypts with now."""
        with self._lock:
            now = time.monotonic()
            if self._own is None or now >= self._own_until or self._own_uses >= DATA_KEY_USES:
                answer = self._kms.generate_data_key(KeyId=self._keys[0], KeySpec="AES_256", EncryptionContext=_PURPOSE)
                self._own = answer["CiphertextBlob"], AESGCM(answer["Plaintext"])
                self._own_until, self._own_uses = now + DATA_KEY_SECONDS, 0
                self._remember(*self._own)
            self._own_uses += 1
            return self._own

    def _decrypted(self, encrypted_key: bytes) -> AESGCM:
        with self._lock:
            until, cipher = self._known.get(encrypted_key, (0.0, None))
            if cipher is None or time.monotonic() >= until:
                cipher = AESGCM(self._decrypt(encrypted_key))
                self._remember(encrypted_key, cipher)
            return cipher

    def _remember(self, encrypted_key: bytes, cipher: AESGCM) -> None:
        self._known[encrypted_key] = time.monotonic() + KNOWN_SECONDS, cipher
        self._known.move_to_end(encrypted_key)
        while len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)

    def _decrypt(self, encrypted_key: bytes) -> bytes:
        refusals = []
        for key in self._keys:
            # By the key's name: otherwise anyone who can write data could have it decrypted with a key of their own.
            try:
                answer = self._kms.decrypt(CiphertextBlob=encrypted_key, KeyId=key, EncryptionContext=_PURPOSE)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in _NO_KEY + _WRONG_KEY:
                    raise  # it may be another time
                refusals.append(f"{key}: {code}")
            else:
                plaintext: bytes = answer["Plaintext"]
                return plaintext
        raise PayloadCodecError(f"KMS cannot decrypt the data with any of the codec's keys ({', '.join(refusals)})")

    @property
    def _kms(self) -> Any:
        if self._client is None:
            config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=3, read_timeout=10)
            session: Any = boto3.Session(region_name=os.environ.get("AWS_REGION"))
            self._client = session.client("kms", config=config)
            end_retries_in_time(self._client)
        return self._client


def kms_codec() -> KmsCodec:
    """The codec with the keys that `WORLDFLOW_PAYLOAD_KEYS` names: the first encrypts, and all decrypt.

    For `WORLDFLOW_PAYLOAD_CODEC=worldflow.encryption:kms_codec`.
    """
    keys = [key.strip() for key in os.environ.get("WORLDFLOW_PAYLOAD_KEYS", "").split(",") if key.strip()]
    if not keys:
        raise ConfigurationError("missing from the environment: WORLDFLOW_PAYLOAD_KEYS, the KMS keys of the codec")
    return KmsCodec(*keys)


def _authenticated(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()
