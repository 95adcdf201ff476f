"""What a deployment meets on AWS and the template cannot change is said where a person reads it, and still applies."""

from tests.infrastructure.stack import ROOT, TEMPLATE, Stack
from worldflow.devtools import quota

README = " ".join((ROOT / "README.md").read_text().split())
DEPLOYING = " ".join((ROOT / "docs/guide/deploying.md").read_text().split())
RETENTION = " ".join((ROOT / "docs/guide/retention.md").read_text().split())


def test_the_readme_counts_the_functions(stack: Stack) -> None:
    count = {3: "three", 4: "four", 5: "five"}[len(stack.all("Lambda::Function"))]
    assert f"{count} Lambda functions" in README


def test_the_guide_says_which_quota_a_deployment_needs_and_what_to_do_without() -> None:
    reserved = TEMPLATE["Parameters"]["ApiMaximumConcurrency"]["Default"]
    assert f"quota below {reserved + quota.UNRESERVED}" in DEPLOYING
    assert "L-B99A9384" in quota.ADVICE and "L-B99A9384" in DEPLOYING
    assert "`ApiMaximumConcurrency=0`" in DEPLOYING


def test_a_template_too_large_for_a_request_is_called_so() -> None:
    assert (ROOT / "template.yaml").stat().st_size > 51_200
    assert "51,200 bytes" in DEPLOYING


def test_the_least_time_that_an_archive_is_charged_for_is_told(stack: Stack) -> None:
    (archive,) = (
        rule for rule in stack["PayloadBucket"]["LifecycleConfiguration"]["Rules"] if rule["Id"] == "archived-runs"
    )
    assert [to["StorageClass"] for to in archive["Transitions"]] == ["GLACIER_IR"]
    assert "at least 90 days" in TEMPLATE["Parameters"]["ArchiveDays"]["Description"]
    assert "at least 90 days" in RETENTION


def test_the_guide_says_that_the_topic_has_your_key_or_none() -> None:
    topic = Stack(AlarmEmail="ops@example.com")["AlarmTopic"]
    assert "KmsMasterKeyId" not in topic
    assert "with your key or not at all" in DEPLOYING
