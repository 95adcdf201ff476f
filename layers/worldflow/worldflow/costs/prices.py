"""What AWS asks, in US dollars, on demand in us-east-1, without the free tier, as of November 2026.

AWS publishes them at aws.amazon.com/dynamodb/pricing/on-demand, /sqs/pricing, /lambda/pricing, /api-gateway/pricing,
/eventbridge/pricing, /s3/pricing, /cloudwatch/pricing, /xray/pricing, /secrets-manager/pricing, /kms/pricing and
/step-functions/pricing. Those of durable functions are at /lambda/pricing too.
"""

from __future__ import annotations

REGION = "us-east-1"
AS_OF = "November 2026"

MILLION = 1_000_000
GB = 1024**3
MONTH_DAYS = 365 / 12

DYNAMODB_WRITE_UNIT = 0.625 / MILLION
DYNAMODB_READ_UNIT = 0.125 / MILLION
SQS_REQUEST = 0.50 / MILLION  # FIFO; a standard queue's, which that of timers is, cost 0.40
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000133334  # arm64
HTTP_API_REQUEST = 1.00 / MILLION
SCHEDULE = 1.00 / MILLION  # that fires
CUSTOM_EVENT = 1.00 / MILLION  # that is put on a bus of EventBridge
S3_WRITE = 5.00 / MILLION
S3_READ = 0.40 / MILLION

DYNAMODB_GB_MONTH = 0.25
RECOVERY_GB_MONTH = 0.20  # of point-in-time recovery, for the table's own size
LOG_GB = 0.50  # written to CloudWatch Logs
LOG_EVENT_BYTES = 26  # that each event of a log is charged for, besides its text
TRACE = 5.00 / MILLION  # that X-Ray records
TRACED = 0.05  # of requests, beyond the first of each second
SQS_STANDARD_REQUEST = 0.40 / MILLION
SECRET_MONTH = 0.40
ALARM_MONTH = 0.10  # with one metric
METRIC_MONTH = 0.30  # of our own, by the hours in which it has a value
DASHBOARD_MONTH = 3.00
KMS_KEY_MONTH = 1.00
KMS_REQUEST = 3.00 / MILLION

DURABLE_OPERATION = 8.00 / MILLION  # of AWS Lambda durable functions: a start, a step, a wait
DURABLE_GB_WRITTEN = 0.25

STATE_TRANSITION = 25.00 / MILLION  # of Step Functions, Standard

EXPRESS_REQUEST = 1.00 / MILLION  # of Step Functions, Express
EXPRESS_GB_SECOND = 0.00001667  # the first 1,000 hours of a GB in a month; those that follow cost less
EXPRESS_MB = 64  # the least that is charged for: 50 MB, the definition and the data, in steps of 64 MB
EXPRESS_SECONDS = 0.1  # durations are rounded up to this
EXPRESS_LONGEST = 300  # seconds that an Express workflow may take
