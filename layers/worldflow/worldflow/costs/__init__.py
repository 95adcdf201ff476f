"""What runs ask of AWS, and what that costs: `python -m worldflow cost`.

    commits.py    a run's history, commit by commit
    counting.py   from a run's history to the requests that it has made
    streams.py    from a run's streams to the requests of the steps that wrote them
    metering.py   the AWS that counts them
    logs.py       the bytes that functions write to their logs
    bills.py      from requests to dollars, here and with what people use instead
    runs.py       all of it for one run
    months.py     what a stack costs a month
    prices.py     what AWS asks for

Nothing that runs in Lambda imports this.
"""

from worldflow.costs.bills import Bill, Charge, Deployment, Elsewhere, Shape, bill_of, elsewhere, shape_of
from worldflow.costs.commits import commits_of, streams_of
from worldflow.costs.counting import count
from worldflow.costs.metering import Asked
from worldflow.costs.runs import RunCosts, costs_of

__all__ = [
    "Asked",
    "Bill",
    "Charge",
    "Deployment",
    "Elsewhere",
    "RunCosts",
    "Shape",
    "bill_of",
    "commits_of",
    "costs_of",
    "count",
    "elsewhere",
    "shape_of",
    "streams_of",
]
