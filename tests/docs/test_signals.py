"""The code of docs/guide/signals.md, run."""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.docs.models import ORDER, Approval, Item, Order
from worldflow import (
    HookConflictError,
    HookFailedError,
    HookNotFoundError,
    HookTimeoutError,
    InvalidInputError,
    RunFailedError,
    SerializationError,
    create_hook,
    create_webhook,
    on_update,
    signal_run,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import Orchestrator, webhooks
from worldflow.testing import WorkflowEnvironment


async def test_a_signal_is_awaited() -> None:
    @workflow
    async def fulfil_order(order: Order) -> str:
        approval = await wait_for_signal("approval", Approval)
        return f"approved by {approval.by}" if approval.approved else f"refused by {approval.by}"

    async with WorkflowEnvironment() as env:
        await env.start(fulfil_order, ORDER)
        orchestrator, run_id = Orchestrator(env.world), "test-1"

        await orchestrator.signal(run_id, "approval", {"approved": True, "by": "Grace"})

        assert await env.run(run_id).result() == "approved by Grace"


async def test_a_value_that_does_not_fit_is_left_out() -> None:
    @workflow
    async def fulfil_order(order: Order) -> str:
        return (await wait_for_signal("approval", Approval)).by

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        await run.signal("approval", "yes")
        await run.signal("approval", Approval(approved=True, by="Grace"))
        assert await run.result() == "Grace"


async def test_a_value_that_does_not_fit_is_an_error_where_that_is_asked_for() -> None:
    @workflow
    async def fulfil_order(order: Order) -> str:
        try:
            await wait_for_signal("approval", Approval, on_misfit="raise")
        except SerializationError:
            return (await wait_for_signal("approval", Approval)).by
        return ""

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        await run.signal("approval", "yes")
        await run.signal("approval", Approval(approved=True, by="Grace"))
        assert await run.result() == "Grace"


async def test_the_sender_learns_that_a_value_does_not_fit() -> None:
    @workflow(signals={"approval": Approval})
    async def fulfil_order(order: Order) -> str:
        approval = await wait_for_signal("approval")
        return str(approval.by)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        with pytest.raises(InvalidInputError):
            await run.signal("approval", "yes")
        await run.signal("approval", Approval(approved=True, by="Grace"))
        assert await run.result() == "Grace"


async def test_signals_come_one_after_the_other() -> None:
    @workflow
    async def collect(count: int) -> list[str]:
        skus: list[str] = []
        async for item in wait_for_signal("item", Item):
            skus.append(item.sku)
            if len(skus) == count:
                break
        return skus

    async with WorkflowEnvironment() as env:
        run = await env.start(collect, 3)
        for sku in ("a", "b"):
            await run.signal("item", {"sku": sku}, signal_id=f"item-{sku}")
        await run.signal("item", {"sku": "b"}, signal_id="item-b")
        await run.signal("item", {"sku": "c"})
        assert await run.result() == ["a", "b", "c"]


async def test_a_signal_that_starts_the_run() -> None:
    @workflow
    async def cart(customer: str) -> str:
        return (await wait_for_signal("item", Item)).sku

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)

        run = await orchestrator.signal_with_start(
            "cart-ada", cart, {"customer": "Ada"}, signal="item", value={"sku": "KEYBOARD"}
        )

        # Its end overtakes the second.
        await orchestrator.signal_with_start(
            "cart-ada", cart, {"customer": "Ada"}, signal="item", value={"sku": "SCREEN"}
        )
        await env.settle()
        assert env.world.read_run("cart-ada").result == "KEYBOARD"
        assert await env.run(run.id).result() == "SCREEN"


async def test_from_one_run_to_another() -> None:
    @workflow
    async def shop() -> str:
        return str((await wait_for_signal("picked"))["order_id"])

    @workflow
    async def pick(order_id: str, shop_run: str) -> None:
        await signal_run(shop_run, "picked", {"order_id": order_id})

    async with WorkflowEnvironment() as env:
        run = await env.start(shop)
        await env.start(pick, "1001", run.id)
        assert await run.result() == "1001"


async def test_a_hook() -> None:
    mails: list[str] = []

    @step
    async def ask_by_mail(order: Order, token: str) -> None:
        mails.append(token)

    @workflow
    async def fulfil_order(order: Order) -> str:
        with create_hook(Approval, metadata={"order": order.order_id}) as hook:
            await ask_by_mail(order, hook.token)
            approval = await hook
        return approval.by

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        orchestrator, token = Orchestrator(env.world), mails[0]

        record = await orchestrator.get_hook(token)  # record.run_id, record.metadata
        await orchestrator.resume_hook(token, {"approved": True, "by": "Grace"})

        assert (record.run_id, record.metadata) == (run.id, {"order": "1001"})
        assert await run.result() == "Grace"
        with pytest.raises(HookNotFoundError):
            await orchestrator.resume_hook(token)


async def test_a_token_of_ones_own() -> None:
    @workflow
    async def chat(channel: str) -> list[str]:
        seen: list[str] = []
        async for text in create_hook(str, token=f"chat:{channel}"):
            if text == "bye":
                break
            seen.append(text)
        return seen

    async with WorkflowEnvironment() as env:
        run = await env.start(chat, "general")
        other = await env.start(chat, "general")
        for text in ("hello", "there", "bye"):
            await env.resume_hook("chat:general", text)
        assert await run.result() == ["hello", "there"]
        with pytest.raises(Exception, match="holds the hook token") as failed:
            await other.result()
        assert isinstance(failed.value.__cause__, HookConflictError)


async def test_who_has_a_token_is_asked_at_once() -> None:
    @workflow
    async def chat(channel: str) -> str:
        hook = create_hook(str, token=f"chat:{channel}")
        if conflict := await hook.get_conflict():
            return f"run {conflict.run_id} has this channel"
        return await hook

    async with WorkflowEnvironment() as env:
        first = await env.start(chat, "support")
        second = await env.start(chat, "support")
        assert await second.result() == f"run {first.id} has this channel"
        await env.fail_hook("chat:support", "the printer is out of paper")
        with pytest.raises(RunFailedError, match="out of paper") as failed:
            await first.result()
        assert isinstance(failed.value.__cause__, HookFailedError)


async def test_a_webhook() -> None:
    urls: list[str] = []

    @step
    async def order_parcel(order: Order, callback: str) -> None:
        urls.append(callback)

    @workflow
    async def ship(order: Order) -> str:
        with create_webhook() as webhook:
            await order_parcel(order, callback=webhook.url)
            request = await webhook
        return str(request.json()["tracking"])

    async with WorkflowEnvironment() as env:
        run = await env.start(ship, ORDER)
        token = urls[0].rpartition("/")[2]
        answer = webhooks.receive(env.world, token, method="POST", body=b'{"tracking": "P1"}')
        assert (answer.status, answer.body) == (202, b"{}")
        assert await run.result() == "P1"
        assert webhooks.receive(env.world, token, method="POST").status == 410
        assert webhooks.receive(env.world, token + "x", method="POST").status == 404
        assert webhooks.receive(env.world, token, method="POST", body=b"x" * 262_145).status == 413


F = TypeVar("F", bound=Callable[..., object])


class Request:
    """As much of FastAPI's as the page needs."""

    def __init__(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> None:
        self.method, self.headers, self._body = method, headers, body
        self.query_params = dict(parse_qsl(urlsplit(url).query))

    async def body(self) -> bytes:
        return self._body


class Response:
    """As much of FastAPI's as the page needs."""

    def __init__(self, content: bytes, status_code: int, headers: dict[str, str]) -> None:
        self.content, self.status_code, self.headers = content, status_code, headers


class Application:
    """As much of FastAPI's as the page needs."""

    def api_route(self, path: str, methods: list[str]) -> Callable[[F], F]:
        return lambda handler: handler


async def test_a_workflow_answers_a_request_to_an_application() -> None:
    app = Application()
    links: list[str] = []

    @step
    async def mail_link(order: Order, link: str) -> None:
        links.append(link)

    @workflow
    async def confirm(order: Order) -> str:
        with create_webhook(respond="workflow") as webhook:
            await mail_link(order, link=webhook.url)
            async for request in webhook:
                if request.query.get("code") == order.order_id:
                    request.respond(200, {"confirmed": order.order_id})
                    break
                request.respond(403, "that is not the code")
        return "confirmed"

    async with WorkflowEnvironment() as env:
        run = await env.start(confirm, ORDER)
        world, token = env.world, links[0].rpartition("/")[2]

        @app.api_route("/webhooks/{token}", methods=["GET", "POST", "PUT"])
        async def webhook(token: str, request: Request) -> Response:
            body = await request.body()
            answer = await asyncio.to_thread(
                webhooks.receive,
                world,
                token,
                method=request.method,
                body=body,
                headers=request.headers,
                query=request.query_params,
            )
            return Response(answer.body, answer.status, dict(answer.headers))

        async def get(code: str) -> Response:
            request = Request("GET", f"/webhooks/{token}?code={code}", b"", {"Accept": "*/*"})
            asked = asyncio.create_task(webhook(token, request))
            while not asked.done():
                await env.settle()
                await asyncio.sleep(0)
            return asked.result()

        wrong, right = await get("0"), await get("1001")
        assert (wrong.status_code, wrong.content) == (403, b"that is not the code")
        assert (right.status_code, right.content) == (200, b'{"confirmed": "1001"}')
        assert right.headers["content-type"] == "application/json"
        assert await run.result() == "confirmed"


async def test_an_update_is_answered() -> None:
    @step
    async def in_stock(item: Item) -> bool:
        return item.sku != "SOLD-OUT"

    @workflow
    async def cart(customer: str) -> list[str]:
        skus: list[str] = []

        @on_update("add_item")
        async def add_item(item: Item) -> int:
            if not await in_stock(item):
                raise ValueError(f"{item.sku} is sold out")
            skus.append(item.sku)
            return len(skus)

        await wait_for_signal("checkout")
        return skus

    async with WorkflowEnvironment() as env:
        run = await env.start(cart, "Ada")

        count = await run.update("add_item", {"sku": "KEYBOARD"})

        assert count == 1
        assert await run.update("add_item", {"sku": "SCREEN"}, update_id="u1") == 2
        assert await run.update("add_item", {"sku": "SCREEN"}, update_id="u1") == 2
        with pytest.raises(TimeoutError):
            await Orchestrator(env.world).update(run.id, "add_itme", {"sku": "SCREEN"}, timeout="10ms")
        with pytest.raises(ValueError, match="sold out"):
            await run.update("add_item", {"sku": "SOLD-OUT"})
        with pytest.raises(InvalidInputError):
            await run.update("add_item", {"quantity": 2})
        await run.signal("checkout")
        assert await run.result() == ["KEYBOARD", "SCREEN"]


async def test_an_update_is_refused_accepted_and_starts_its_run() -> None:
    @workflow
    async def table(seats: int) -> list[str]:
        guests: list[str] = []

        def has_seats(name: str) -> None:
            if len(guests) == seats:
                raise ValueError(f"no seat for {name}")

        @on_update("seat", validator=has_seats)
        async def seat(name: str) -> int:
            guests.append(name)
            return len(guests)

        await wait_for_signal("close")
        return guests

    async with WorkflowEnvironment() as env:
        orchestrator = env.orchestrator

        count = await orchestrator.update_with_start(
            "table-7", table, {"seats": 2}, update="seat", args=["Ada"], type=int, update_id="ada-7"
        )

        assert count == 1
        run = env.run("table-7")

        handle = await run.start_update("seat", "Ada", type=int)
        count = await handle.result()

        assert count == 2
        before = len(await run.events())
        with pytest.raises(ValueError, match="no seat for Bob"):
            await run.update("seat", "Bob", update_id="bob")
        assert len(await run.events()) == before
        assert await orchestrator.run("table-7").update_handle("ada-7").result() == 1
        await run.signal("close")
        assert await run.result() == ["Ada", "Ada"]


async def test_heartbeats_of_a_sender() -> None:
    tokens: list[str] = []

    @step
    async def order_print(order: Order, token: str) -> None:
        tokens.append(token)

    @step
    async def print_by_hand(order: Order) -> int:
        return 0

    @workflow
    async def prints(order: Order) -> int:
        with create_hook(int, heartbeat_timeout="10m") as hook:
            await order_print(order, hook.token)
            try:
                pages = await hook
            except HookTimeoutError:
                pages = await print_by_hand(order)
        return pages

    async with WorkflowEnvironment() as env:
        orchestrator = env.orchestrator
        run, other = await env.start(prints, ORDER), await env.start(prints, ORDER)
        token = tokens[0]
        await env.advance("9m")
        await orchestrator.heartbeat_hook(token)
        await env.advance("9m")
        await env.resume_hook(token, 3)
        assert [await run.result(), await other.result()] == [3, 0]
