"""Walking the graph of artifacts: one query for the nodes, one for the edges among them."""

from __future__ import annotations

from councilor.adapters.postgres.pool import Connection
from councilor.adapters.postgres.queries import artifacts as queries
from councilor.domain.artifact import ArtifactKind
from councilor.domain.lineage import Direction, Edge, Lineage, LineageNode, require_bounds
from councilor.domain.stored import is_id
from councilor.errors import NotFoundError

__all__ = ["walk"]


async def walk(
    connection: Connection, artifact_id: str, direction: Direction, *, max_depth: int, max_nodes: int
) -> Lineage:
    """What an artifact was made from, or what was made from it."""
    require_bounds(max_depth, max_nodes)
    found: list[LineageNode] = []
    if is_id(artifact_id):
        query = queries.ANCESTORS if direction is Direction.ANCESTORS else queries.DESCENDANTS
        values = {"id": artifact_id, "max_depth": max_depth, "max_nodes": max_nodes}
        rows = await (await connection.execute(query, values)).fetchall()
        found = [
            LineageNode(artifact_id=id_, task_id=task, kind=ArtifactKind(kind), name=name, output_hash=sha, depth=depth)
            for id_, task, kind, name, sha, depth in rows
        ]
    if not found:
        raise NotFoundError(f"There is no artifact {artifact_id}.", hint="`councilor artifacts list` shows them.")
    nodes = [node for node in found if node.depth <= max_depth][:max_nodes]
    edges = await (await connection.execute(queries.EDGES, {"ids": [node.artifact_id for node in nodes]})).fetchall()
    return Lineage(
        root_id=artifact_id,
        direction=direction,
        nodes=nodes,
        edges=[Edge(child_id=child, parent_id=parent, role=role) for child, parent, role in edges],
        complete=len(nodes) == len(found),
    )
