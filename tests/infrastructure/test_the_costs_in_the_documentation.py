"""Each dollar in the documentation is what the code says, and what the template may cost has limits."""

import re

import pytest

from tests.infrastructure.stack import TEMPLATE, Stack
from tools.costs import PAGES, ROOT, a_step, filled, part
from worldflow.costs import prices
from worldflow.costs.months import ALARMS, FIFO_QUEUES, STANDARD_QUEUES, idle_month


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_are_as_the_code_has_them(page):
    assert filled(page.read_text()) == page.read_text(), "make costs writes them"


def test_a_table_that_differs_is_found():
    text = PAGES[1].read_text()
    assert "<!-- costs: steps -->" in text
    assert filled(text.replace("4.65", "4.64")) == text


def test_what_is_said_of_a_step_elsewhere():
    alone, results_together, all_together = a_step(), a_step(10), a_step(10, 10)
    requests = [f"${bill.requests * prices.MILLION:.2f}" for bill in (alone, results_together, all_together)]
    text = (ROOT / "docs" / "performance.md").read_text()

    assert requests == ["$4.65", "$3.57", "$2.49"]
    assert [found for found in re.findall(r"\$\d\.\d\d", text) if found in requests] == requests


def test_a_queued_step_costs_less_than_five_dollars_and_a_half_a_million_with_all_but_compute():
    bill = a_step()
    assert bill.dollars * prices.MILLION <= 5.50
    assert part(bill, "KB of logs") > 0
    assert part(bill, "KB of ledger") > 0


def test_an_idle_stack_costs_less_than_four_dollars_a_month():
    assert sum(charge.dollars for charge in idle_month()) <= 4


def test_a_flood_of_webhooks_costs_what_the_guide_says():
    guide = " ".join((ROOT / "docs/guide/deploying.md").read_text().split())
    (flood,) = re.findall(r"forged tokens is (\d+) million requests and costs about \$(\d+):", guide)
    (parts,) = re.findall(r"\$(\d\.\d\d) for API Gateway, about \$(\d\.\d\d) for Lambda and as much for logs", guide)
    requests, dollars = map(int, flood)
    gateway, function = map(float, parts)
    millions = TEMPLATE["Parameters"]["WebhookRateLimit"]["Default"] * prices.MONTH_DAYS * 86_400 / prices.MILLION

    assert requests == round(millions)
    assert gateway == prices.HTTP_API_REQUEST * prices.MILLION
    assert function > prices.LAMBDA_REQUEST * prices.MILLION  # by milliseconds of compute, which are estimated
    assert dollars == round(millions * (gateway + 2 * function))


def test_what_an_idle_stack_pays_for_is_in_the_template():
    stack = Stack()
    alarms = stack.all("CloudWatch::Alarm").values()
    mappings = stack.all("Lambda::EventSourceMapping").values()
    fifo = [mapping for mapping in mappings if "FifoQueue" in stack[mapping["EventSourceArn"]["Fn::GetAtt"][0]]]

    assert len(alarms) == ALARMS
    assert not [alarm for alarm in alarms if "Metrics" in alarm]  # each has one metric
    assert (len(fifo), len(mappings) - len(fifo)) == (FIFO_QUEUES, STANDARD_QUEUES)
    assert len(stack.all("SecretsManager::Secret")) == 1
    assert "AWS::CloudWatch::Dashboard" not in {resource["Type"] for resource in stack.resources.values()}
