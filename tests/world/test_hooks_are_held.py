"""Who holds a hook's token: one run at a time, whoever was first."""

import threading

import pytest

from tests.support.systems import AWSSystem
from worldflow import ConfigurationError
from worldflow.turns.webhook_tokens import sign
from worldflow.worlds import AWSWorld, LocalWorld, World, items, ledger
from worldflow.worlds.records import HookRecord


def hook(run_id: str = "r", token: str = "door", hook_id: str = "h1", **more: object) -> HookRecord:
    return HookRecord.model_validate({"token": token, "run_id": run_id, "hook_id": hook_id, **more})


def test_a_hook_is_stored_as_it_is(world: World) -> None:
    stored = hook(metadata={"for": ["you", 1, 1.5, None, "één"]}, webhook=True, answers=True)

    assert items.put_hook(world, stored)
    assert items.get_hook(world, "door") == stored


@pytest.mark.parametrize("token", ["a", "a.b:c=d+e@f-g_h", "x" * 200, "run_id", "hook"])
def test_tokens_of_all_kinds(world: World, token: str) -> None:
    items.put_hook(world, hook(token=token))

    assert items.get_hook(world, token) == hook(token=token)
    assert items.get_hook(world, token[:-1] + "?") is None


def test_nobody_holds_what_nobody_asked_for(world: World) -> None:
    assert items.get_hook(world, "door") is None
    items.delete_hook(world, "door", "r")
    assert items.get_hook(world, "door") is None


def test_what_one_run_holds_no_other_takes(world: World) -> None:
    items.put_hook(world, hook("first"))

    assert not items.put_hook(world, hook("second"))
    assert not items.put_hook(world, hook("second"), holder="third")
    assert items.get_hook(world, "door") == hook("first")


def test_its_own_hook_can_be_put_again(world: World) -> None:
    items.put_hook(world, hook())

    assert items.put_hook(world, hook())
    assert items.put_hook(world, hook(hook_id="h2"), holder="nobody")
    assert items.get_hook(world, "door") == hook(hook_id="h2")


def test_it_can_be_taken_over_from_who_held_it(world: World) -> None:
    items.put_hook(world, hook("first"))

    assert items.put_hook(world, hook("second"), holder="first")
    assert items.get_hook(world, "door") == hook("second")
    assert not items.put_hook(world, hook("third"), holder="first")


def test_taking_over_what_is_free_is_taking_it(world: World) -> None:
    assert items.put_hook(world, hook("second"), holder="first")


def test_only_its_holder_lets_go_of_it(world: World) -> None:
    items.put_hook(world, hook("first"))
    items.delete_hook(world, "door", "second")
    assert items.get_hook(world, "door") == hook("first")

    items.delete_hook(world, "door", "first")
    assert items.get_hook(world, "door") is None
    assert items.put_hook(world, hook("second"))


def test_of_many_who_ask_at_once_one_gets_it(world: World) -> None:
    barrier = threading.Barrier(6)
    got: list[str] = []

    def ask(name: str) -> None:
        barrier.wait()
        if items.put_hook(world, hook(name)):
            got.append(name)

    threads = [threading.Thread(target=ask, args=(f"r{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = got
    assert items.get_hook(world, "door") == hook(winner)


def test_a_hook_is_no_run_and_no_step(world: World) -> None:
    items.put_hook(world, hook())

    assert world.get_run("hook#door") is None
    assert world.list_runs().runs == []
    assert ledger.get_outcome(world, "hook", "door", 1) is None


# --- webhooks ---


def test_the_key_is_secret_and_stays(world: World) -> None:
    first, again = world.webhooks.keys(), world.webhooks.keys()

    assert list(first) == list(again)
    assert all(isinstance(key, bytes) and len(key) >= 16 for key in first)
    expires = world.now()
    assert sign(first[0], "r", "h1", expires) != sign(b"x" * 32, "r", "h1", expires)


def test_a_key_is_made_once_for_all_who_share_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    worlds = [LocalWorld(tmp_path / "runs.db") for _ in range(3)]
    try:
        assert len({bytes(world.webhooks.keys()[0]) for world in worlds}) == 1
    finally:
        for world in worlds:
            world.close()


def test_two_files_have_two_keys() -> None:
    one, two = LocalWorld(), LocalWorld()
    try:
        assert list(one.webhooks.keys()) != list(two.webhooks.keys())
    finally:
        one.close()
        two.close()


@pytest.mark.parametrize("address", ["https://example.test/webhooks", "https://example.test/webhooks/"])
def test_a_url_ends_with_the_token(aws: AWSSystem, address: str) -> None:
    local = LocalWorld(webhook_url=address)
    on_aws = AWSWorld(aws.stack.settings.model_copy(update={"webhook_url": address}), session=aws.stack.session)

    for world in (local, on_aws):
        assert world.webhooks.url("a.b") == "https://example.test/webhooks/a.b"
    local.close()


def test_without_an_address_it_says_what_is_missing(aws: AWSSystem) -> None:
    local = LocalWorld()
    on_aws = AWSWorld(aws.stack.settings.model_copy(update={"webhook_url": None}), session=aws.stack.session)

    with pytest.raises(ConfigurationError, match="webhook_url="):
        local.webhooks.url("t")
    with pytest.raises(ConfigurationError, match="WORLDFLOW_WEBHOOK_URL"):
        on_aws.webhooks.url("t")
    local.close()


def test_without_a_secret_it_says_what_is_missing(aws: AWSSystem) -> None:
    settings = aws.stack.settings.model_copy(update={"webhook_secret_arn": None})
    with pytest.raises(ConfigurationError, match="WORLDFLOW_WEBHOOK_SECRET_ARN"):
        AWSWorld(settings, session=aws.stack.session).webhooks.keys()


def test_the_secret_is_fetched_once(aws: AWSSystem) -> None:
    world = AWSWorld(aws.stack.settings, session=aws.stack.session)
    keys = [list(world.webhooks.keys()) for _ in range(3)]

    assert keys[0] == keys[1] == keys[2]
    assert aws.stack.requests.count("secrets-manager.GetSecretValue") == 1
