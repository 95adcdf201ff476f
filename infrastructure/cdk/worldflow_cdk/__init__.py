"""Worldflow as a construct of the AWS CDK, made from its SAM template."""

from worldflow_cdk.construct import Worldflow

__all__ = ["Worldflow"]
