"""What befalls the whole stack: deployments, functions that are not invoked, services that are away; and its end."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.processes import Kind
    from tests.simulation.simulation import Simulation


class Incidents:
    """Puts on the agenda what the swarm of a seed decides."""

    def __init__(self, sim: Simulation, swarm: random.Random) -> None:
        self.until = swarm.choice([50, 150, 300, 700])
        """So many happenings: then all is mended."""
        self._sim = sim
        self._swarm = swarm
        self._away_until: dict[Kind, float] = {}
        """Until then none of its kind is invoked."""
        self._broken: dict[str, float] = {}
        """Until when each service answers nothing."""

    def plan(self) -> None:
        self._plan_deployments()
        self._plan_outages()
        self._plan_services()

    def _plan_deployments(self) -> None:
        """When which code is deployed."""
        sim, swarm, deployments = self._sim, self._swarm, self._sim.deployments
        span = swarm.choice([20.0, 2_000.0, 100_000.0])
        for _ in range(swarm.choice([0, 0, 1, 2, 4])):
            code = swarm.choice([deployments.good, deployments.good, deployments.old, *deployments.bad])
            sim.at(sim.now + swarm.uniform(0, span), partial(self._deploy, code.name))

    def _plan_outages(self) -> None:
        """When nobody takes turns, or runs steps, for a while."""
        sim, swarm = self._sim, self._swarm
        span = swarm.choice([20.0, 200.0, 2_000.0])
        for _ in range(swarm.choice([0, 1, 2, 4])):
            seconds = swarm.choice([5.0, 30.0, 1_000.0])
            kind: Kind = swarm.choice(["orchestrator", "orchestrator", "executor"])
            sim.at(sim.now + swarm.uniform(0, span), partial(self._go_away, kind, seconds))

    def _plan_services(self) -> None:
        """When a service of AWS, or each, answers nothing: for minutes, or for hours."""
        sim, chance = self._sim, random.Random(f"{self._sim.seed} services")
        if chance.random() < 0.7:
            return
        service, seconds = chance.choice(["dynamodb", "sqs", "s3", "scheduler", "all"]), chance.choice([600.0, 7_200.0])
        sim.at(sim.now + chance.uniform(0, chance.choice([20.0, 2_000.0])), partial(self._break, service, seconds))
        self.until += 1_500

    def mend(self) -> None:
        """From now on the code is good, and nothing goes wrong any more."""
        sim = self._sim
        sim.faults.active = False
        self._away_until.clear()
        self._broken.clear()
        if sim.code is not sim.deployments.good:
            sim.deploy(sim.deployments.good)

    def is_away(self, service: str) -> bool:
        return self._sim.now < max(self._broken.get(service, 0.0), self._broken.get("all", 0.0))

    def away_until(self, kind: Kind) -> float:
        """When the next of a kind may be invoked."""
        return self._away_until.get(kind, 0.0)

    def _deploy(self, name: str) -> None:
        sim = self._sim
        if not sim.faults.active:
            name = sim.deployments.good.name
        else:
            sim.faults.injected[f"deployment: {name}"] += 1
        sim.deploy(sim.deployments.by_name[name])

    def _break(self, service: str, seconds: float) -> None:
        sim = self._sim
        if sim.faults.active:
            sim.faults.injected[f"{service} away"] += 1
            sim.note("", f"*** {service} is away for {seconds} s")
            self._broken[service] = sim.now + seconds

    def _go_away(self, kind: Kind, seconds: float) -> None:
        sim = self._sim
        if sim.faults.active:
            sim.faults.injected[f"no {kind}"] += 1
            sim.note("", f"*** no {kind} for {seconds} s")
            self._away_until[kind] = sim.now + seconds
