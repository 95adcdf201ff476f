"""KmsCodec: AES-256-GCM with data keys of KMS, of which it asks for few."""

from __future__ import annotations

from collections import Counter
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.aws import REGION, Stack
from worldflow import ConfigurationError, PayloadCodecError, encryption
from worldflow.encryption import DATA_KEY_SECONDS, KNOWN_SECONDS, KmsCodec, kms_codec

RUN = {"run_id": "r"}
DATA = b'{"card": "4242"}'


class Kms:
    """The client, and what it was asked for."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("kms", region_name=REGION)
        self.asked: Counter[str] = Counter()
        self.refusal: str | None = None

    def key(self) -> str:
        arn: str = self.client.create_key()["KeyMetadata"]["Arn"]
        return arn

    def generate_data_key(self, **request: Any) -> Any:
        self.asked["generate"] += 1
        assert request["EncryptionContext"] == {"worldflow": "payload"}
        return self.client.generate_data_key(**request)

    def decrypt(self, **request: Any) -> Any:
        self.asked["decrypt"] += 1
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": "no"}}, "Decrypt")
        asked_for = request.pop("KeyId")
        answer = self.client.decrypt(**request)
        if answer["KeyId"] != asked_for:  # moto has another code for it
            raise ClientError({"Error": {"Code": "IncorrectKeyException", "Message": "no"}}, "Decrypt")
        return answer


@pytest.fixture
def kms(stack: Stack) -> Kms:
    return Kms()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1_000.0]
    monkeypatch.setattr(encryption.time, "monotonic", lambda: time[0])
    return time


def test_another_process_decrypts_what_one_has_encrypted(kms: Kms) -> None:
    key = kms.key()
    encoded = KmsCodec(key, client=kms).encode(DATA, RUN)

    assert b"4242" not in encoded
    assert KmsCodec(key, client=kms).decode(encoded, RUN) == DATA
    assert KmsCodec(key, client=kms).encode(DATA, RUN) != encoded


def test_kms_is_asked_for_a_key_and_not_for_every_value(kms: Kms, clock: list[float]) -> None:
    key = kms.key()
    one, other = KmsCodec(key, client=kms), KmsCodec(key, client=kms)
    for number in range(50):
        context = {"run_id": f"r{number}"}
        assert other.decode(one.encode(DATA, context), context) == DATA
    assert kms.asked == {"generate": 1, "decrypt": 1}

    clock[0] += DATA_KEY_SECONDS
    encoded = one.encode(DATA, RUN)
    assert kms.asked["generate"] == 2
    assert one.decode(encoded, RUN) == DATA  # with its own key, which it need not ask for
    assert kms.asked["decrypt"] == 1
    clock[0] += KNOWN_SECONDS
    one.decode(encoded, RUN)
    assert kms.asked["decrypt"] == 2


def test_a_key_is_not_used_too_often(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "DATA_KEY_USES", 10)
    monkeypatch.setattr(encryption, "KNOWN_LIMIT", 2)
    codec = KmsCodec(kms.key(), client=kms)
    encoded = [codec.encode(DATA, RUN) for _ in range(35)]

    assert kms.asked["generate"] == 4
    assert all(codec.decode(one, RUN) == DATA for one in encoded)
    assert kms.asked["decrypt"] == 4  # of four keys it remembers two


def test_what_belongs_to_another_run_is_not_decrypted_for_this_one(kms: Kms) -> None:
    codec = KmsCodec(kms.key(), client=kms)
    with pytest.raises(PayloadCodecError, match="was encrypted for another context"):
        codec.decode(codec.encode(DATA, {"run_id": "other"}), RUN)


@pytest.mark.parametrize("place", [-1, -20, -30, 4, 8], ids=["tag", "ciphertext", "nonce", "length", "key"])
def test_what_is_changed_is_not_decrypted(kms: Kms, place: int) -> None:
    codec = KmsCodec(kms.key(), client=kms)
    encoded = bytearray(codec.encode(DATA, RUN))
    encoded[place] ^= 1
    with pytest.raises((PayloadCodecError, ClientError)):
        codec.decode(bytes(encoded), RUN)


def test_a_key_that_was_changed_is_known_for_as_long_as_it_is_named(kms: Kms) -> None:
    old, new = kms.key(), kms.key()
    encoded = KmsCodec(old, client=kms).encode(DATA, RUN)

    assert KmsCodec(new, old, client=kms).decode(encoded, RUN) == DATA
    with pytest.raises(PayloadCodecError, match=f"any of the codec's keys .{new}: IncorrectKey"):
        KmsCodec(new, client=kms).decode(encoded, RUN)


@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException", "KMSInvalidStateException"])
def test_a_refusal_says_which_key_may_not_be_used(kms: Kms, code: str) -> None:
    key = kms.key()
    encoded = KmsCodec(key, client=kms).encode(DATA, RUN)
    kms.refusal = code
    with pytest.raises(PayloadCodecError, match=f"{key}: {code}"):
        KmsCodec(key, client=kms).decode(encoded, RUN)


def test_what_may_be_better_in_a_moment_is_tried_again(kms: Kms) -> None:
    key = kms.key()
    encoded = KmsCodec(key, client=kms).encode(DATA, RUN)
    kms.refusal = "ThrottlingException"
    codec = KmsCodec(key, client=kms)
    with pytest.raises(ClientError):
        codec.decode(encoded, RUN)
    kms.refusal = None
    assert codec.decode(encoded, RUN) == DATA


def test_what_another_codec_has_made_is_said_to_be_that(kms: Kms) -> None:
    with pytest.raises(PayloadCodecError, match="a codec other than KmsCodec"):
        KmsCodec(kms.key(), client=kms).decode(b"something else", RUN)


def test_the_environment_names_the_keys(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLDFLOW_PAYLOAD_KEYS", raising=False)
    with pytest.raises(ConfigurationError, match="WORLDFLOW_PAYLOAD_KEYS"):
        kms_codec()
    new, old = kms.key(), kms.key()
    encoded = KmsCodec(old).encode(DATA, RUN)
    monkeypatch.setenv("WORLDFLOW_PAYLOAD_KEYS", f"{new}, {old}")
    codec = kms_codec()
    assert codec._keys == (new, old)
    assert codec.decode(codec.encode(DATA, RUN), RUN) == DATA
    assert encoded[:4] == codec.encode(DATA, RUN)[:4]
