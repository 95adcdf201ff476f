"""A mailbox gives each item to one receiver, in order, and keeps what nobody waits for."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import pytest

from worldflow.engine.workflow.loop import WorkflowLoop
from worldflow.engine.workflow.mailbox import Mailbox, Receive


class Host:
    replaying = False

    def timer_started(self, when: float) -> str:
        raise AssertionError

    def now(self) -> datetime:
        raise AssertionError


class Post:
    """A mailbox on a loop of its own, and those who wait at it."""

    def __init__(self) -> None:
        self.loop = WorkflowLoop(Host())  # type: ignore[abstract, arg-type]
        self.box: Mailbox[Any] = Mailbox(self.loop)
        self.got: list[Any] = []
        self.never = self.loop.new_future()

    def task(self, wait: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        with self.loop.entered():
            task = self.loop.create_task(wait())
            self.loop.run(until=self.never)
        return task

    def receiver(self, name: str = "") -> asyncio.Task[None]:
        async def wait() -> None:
            try:
                self.got.append(f"{name}{await self.box.get()}")
            except LookupError as error:
                self.got.append(f"{name}{error}")

        return self.task(wait)

    def do(self, *acts: Callable[[], Any]) -> None:
        """Several things at once: nobody runs between them."""
        with self.loop.entered():
            for act in acts:
                act()
            self.loop.run(until=self.never)


@pytest.fixture
def post() -> Any:
    post = Post()
    yield post
    post.loop.dispose()


def test_items_wait_for_receivers(post: Post):
    post.do(lambda: post.box.put("a"), lambda: post.box.put("b"))
    assert post.box.unread() == ["a", "b"]
    post.receiver()
    post.receiver()
    assert post.got == ["a", "b"]
    assert post.box.unread() == []


def test_receivers_wait_for_items_first_come_first_served(post: Post):
    post.receiver("1")
    post.receiver("2")
    post.do(lambda: post.box.put("a"))
    post.do(lambda: post.box.put("b"))
    assert post.got == ["1a", "2b"]


def test_an_item_has_one_receiver(post: Post):
    for name in "123":
        post.receiver(name)
    post.do(lambda: post.box.put("a"))
    assert post.got == ["1a"]


def test_a_receiver_that_gave_up_takes_nothing(post: Post):
    first = post.receiver("1")
    post.receiver("2")
    post.do(first.cancel)
    post.do(lambda: post.box.put("a"))
    assert post.got == ["2a"]


def test_an_item_that_came_to_one_who_gave_up_at_that_moment_is_first_in_line(post: Post):
    first = post.receiver("1")
    post.do(lambda: post.box.put("a"), first.cancel, lambda: post.box.put("b"))
    assert post.got == []
    assert post.box.unread() == ["a", "b"]
    post.receiver("2")
    assert post.got == ["2a"]


def test_closed_it_gives_what_it_has_and_then_the_error(post: Post):
    post.do(lambda: post.box.put("a"), lambda: post.box.close(LookupError("closed")))
    post.receiver()
    post.receiver()
    assert post.got == ["a", "closed"]


def test_closing_tells_all_who_wait(post: Post):
    given_up = post.receiver("0")
    post.receiver("1")
    post.receiver("2")
    post.do(given_up.cancel, lambda: post.box.close(LookupError("!")))
    assert post.got == ["1!", "2!"]


def test_a_loop_over_it_never_ends_by_itself(post: Post):
    async def read() -> None:
        async for item in Receive(post.box.get, post.loop):
            post.got.append(item)

    task = post.task(read)
    for item in "abc":
        post.do(lambda item=item: post.box.put(item))  # type: ignore[misc]
    assert post.got == ["a", "b", "c"]
    assert not task.done()
