"""A class that steps make, and that the workflow's own module never imports."""

from dataclasses import dataclass

from worldflow import step


@dataclass(frozen=True)
class Vector:
    x: float
    y: float
    z: float = 0.0

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def length(self) -> float:
        return (self.x**2 + self.y**2 + self.z**2) ** 0.5


@step(name="vector.create")
async def create_vector(x: float, y: float, z: float = 0.0) -> Vector:
    return Vector(x, y, z)


@step(name="vector.scale")
async def scale_vector(vector: Vector, by: float) -> Vector:
    assert vector.length() > 0
    return Vector(vector.x * by, vector.y * by, vector.z * by)


@step(name="vector.sum")
async def sum_vectors(vectors: list[Vector]) -> Vector:
    return sum(vectors, start=Vector(0, 0))
